//! The text format of Prometheus, version 0.0.4. Names of counters end in `_total`, and label values are escaped.

use std::fmt::Write;

use crate::protocol::{NumberView, StatsView};

/// The counters and gauges in the text format of Prometheus.
pub(crate) fn render(stats: &StatsView) -> String {
    let labels = format!("cluster=\"{}\",node=\"{}\"", escaped(&stats.cluster), escaped(&stats.name));
    let mut text = String::new();
    for number in &stats.counters {
        push(&mut text, number, "counter", "_total", &labels);
    }
    for number in &stats.gauges {
        push(&mut text, number, "gauge", "", &labels);
    }
    text
}

fn push(text: &mut String, number: &NumberView, kind: &str, suffix: &str, labels: &str) {
    let NumberView { name, value, help } = number;
    let name = format!("bruit_{name}{suffix}");
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    let printed = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{{{labels}}} {value}\n");
    printed.expect("printing into a string cannot fail");
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_gauges() {
        let stats = StatsView {
            name: "a\"b".to_owned(),
            id: "n1".to_owned(),
            cluster: "docs".to_owned(),
            counters: vec![NumberView::new("probes", 3, "Probes started.")],
            gauges: vec![NumberView::new("health", 1, "One when well.")],
        };
        let expected = "# HELP bruit_probes_total Probes started.\n# TYPE bruit_probes_total counter\n\
            bruit_probes_total{cluster=\"docs\",node=\"a\\\"b\"} 3\n\
            # HELP bruit_health One when well.\n# TYPE bruit_health gauge\n\
            bruit_health{cluster=\"docs\",node=\"a\\\"b\"} 1\n";
        assert_eq!(render(&stats), expected);
    }
}
