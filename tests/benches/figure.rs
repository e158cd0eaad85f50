//! How a bench says what it measured: one line a figure, tab-separated, which `cargo xtask bench` gathers into a table. It
//! judges a figure by its bar and nothing else; it never measures.

/// What a figure must be.
#[derive(Clone, Copy)]
pub(crate) enum Bar {
    /// No less.
    AtLeast(f64),
    /// No more.
    AtMost(f64),
    /// Told for comparison.
    None,
}

/// One measured number.
pub(crate) struct Figure<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: f64,
    pub(crate) unit: &'a str,
    pub(crate) bar: Bar,
    /// What it was made of.
    pub(crate) detail: String,
}

impl Figure<'_> {
    /// Prints it.
    pub(crate) fn tell(&self) {
        let (bar, verdict) = match self.bar {
            Bar::AtLeast(least) => (format!("≥ {least}"), verdict(self.value >= least)),
            Bar::AtMost(most) => (format!("≤ {most}"), verdict(self.value <= most)),
            Bar::None => (String::new(), ""),
        };
        println!("figure\t{}\t{:.3} {}\t{bar}\t{verdict}\t{}", self.name, self.value, self.unit, self.detail);
    }
}

fn verdict(holds: bool) -> &'static str {
    if holds { "pass" } else { "FAIL" }
}

/// The value below which a share of all lie; the shares of an operator's table, 0.5 for the median.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let place = (last as f64 * share).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

/// The middle one.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The smallest: what the machine does when nobody disturbs it.
pub(crate) fn least(values: &[f64]) -> f64 {
    quantile(values, 0.0)
}
