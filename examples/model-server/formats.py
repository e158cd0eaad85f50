"""How a turn of a script looks on the wire: chat completions, completions of one text, a text for a prompt, a suggested patch.

Each format has what a request must have, an answer as a whole, and, where there is such a thing, the same in pieces.
"""

import json

PATHS = {
    "/v1/chat/completions": "chat",
    "/api/paas/v4/chat/completions": "chat",
    "/v1/completions": "completions",
    "/": "text",
    "/glm41v_9b": "text",
    "/patch": "patch",
}


def missing(form, request):
    """What a request of this format has not, or nothing."""
    if not isinstance(request, dict):
        return ["an object"]
    if form == "completions":
        # Air Star is asked for a completion with the messages of a chat.
        wanted = ["model"] if "messages" in request else ["model", "prompt"]
    else:
        wanted = {"chat": ["model", "messages"], "text": ["prompt"], "patch": ["component", "error"]}[form]
    return [key for key in wanted if key not in request]


def whole(form, turn, request, script):
    """The body and its type."""
    if "suggest" in turn:
        return _json(turn["suggest"])
    if form == "text":
        return _json({"text": turn.get("say", "")})
    if form == "patch":
        return turn.get("say", "").encode(), "text/plain"
    if form == "completions":
        choice = {"index": 0, "text": turn.get("say", ""), "logprobs": None, "finish_reason": turn.get("finish", "stop")}
    else:
        message = _message(turn, script)
        choice = {"index": 0, "message": message, "finish_reason": _finish(turn)}
        if script.vendor == "vllm":
            message.setdefault("reasoning_content", None)
            message.setdefault("tool_calls", [])
            choice["logprobs"] = None
    if script.vendor == "vllm":
        choice["stop_reason"] = None
    return _json({**_head(form, script, "chat.completion", "text_completion"), "choices": [choice], "usage": _usage(turn, request)})


def events(form, turn, request, script):
    """The same answer, as data of events."""
    head = _head(form, script, "chat.completion.chunk", "text_completion")
    if form == "completions":
        pieces = [{"index": 0, "text": part, "finish_reason": None} for part in _parts(turn.get("say", ""))]
        last = {"index": 0, "text": "", "finish_reason": turn.get("finish", "stop")}
    else:
        deltas = [{"role": "assistant", "content": ""}]
        deltas += [{"reasoning_content": part} for part in _parts(turn.get("reasoning", ""))]
        deltas += [{"content": part} for part in _parts(turn.get("say") or "")]
        for at, call in enumerate(_message(turn, script).get("tool_calls", [])):
            function, arguments = call["function"], _parts(call["function"]["arguments"])
            first = {**call, "index": at, "function": {**function, "arguments": ""}}
            deltas.append({"tool_calls": [first]})
            deltas += [{"tool_calls": [{"index": at, "function": {"arguments": part}}]} for part in arguments]
        pieces = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
        last = {"index": 0, "delta": {}, "finish_reason": _finish(turn)}
    usage = _usage(turn, request)
    if script.vendor == "moonshot":
        last["usage"] = usage
    chunks = [{**head, "choices": [choice]} for choice in [*pieces, last]]
    if request.get("stream_options", {}).get("include_usage"):
        chunks.append({**head, "choices": [], "usage": usage})
    return [json.dumps(chunk) for chunk in chunks] + ["[DONE]"]


def _json(document):
    return json.dumps(document).encode(), "application/json"


def _parts(text):
    return [text[at : at + 24] for at in range(0, len(text), 24)]


def _head(form, script, chat, completion):
    name = ("chatcmpl-1", chat) if form == "chat" else ("cmpl-1", completion)
    head = {"id": name[0], "object": name[1], "created": 0, "model": script.model}
    if script.vendor == "glm":
        head["request_id"] = "1"
    return head


def _finish(turn):
    return turn.get("finish", "tool_calls" if "call" in turn else "stop")


def _message(turn, script):
    message = {"role": "assistant", "content": turn.get("say")}
    if "call" in turn:
        message["content"] = "" if script.vendor == "moonshot" else None
        message["tool_calls"] = [
            {
                "id": call.get("id", f"call_{at}"),
                "type": "function",
                "function": {"name": call["name"], "arguments": json.dumps(call.get("arguments", {}))},
            }
            for at, call in enumerate(turn["call"])
        ]
    if "reasoning" in turn:
        message["reasoning_content"] = turn["reasoning"]
    return message


def _usage(turn, request):
    said = sum(len(str(message.get("content"))) for message in request.get("messages", []))
    prompt = (said + len(str(request.get("prompt", "")))) // 4
    usage = turn.get("usage", {"prompt_tokens": prompt, "completion_tokens": len(str(turn.get("say"))) // 4})
    return {**usage, "total_tokens": usage.get("prompt_tokens", 0) + usage.get("completion_tokens", 0)}
