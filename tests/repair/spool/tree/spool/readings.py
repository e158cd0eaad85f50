"""Files of readings: a line for each, `station;value`. Old devices write Windows-1252 and a comma in numbers."""


class Unreadable(Exception):
    """A file, or a line of it, is no reading."""


def decode(data):
    """The text of a file: UTF-8 with or without a byte order mark, else Windows-1252."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def parse(text):
    """The readings of a text, as pairs. Empty lines and lines that begin with `#` say nothing."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        station, separator, value = line.rpartition(";")
        try:
            found.append((station.strip(), float(value.replace(",", "."))))
        except ValueError:
            raise Unreadable(f"line {number}: {value!r} is no number") from None
        if not separator or not station.strip():
            raise Unreadable(f"line {number}: no station")
    return found


def summarize(readings):
    """For each station, in order of name: how many readings, the lowest, the mean and the highest; and the mean of all."""
    stations = {}
    for station, value in readings:
        stations.setdefault(station, []).append(value)
    summary = {
        station: {"count": len(values), "low": min(values), "mean": mean(values), "high": max(values)}
        for station, values in sorted(stations.items())
    }
    return {"stations": summary, "mean": mean([value for _, value in readings])}


def mean(values):
    """The mean to two digits; of nothing there is none."""
    return round(sum(values) / len(values), 2) if values else None
