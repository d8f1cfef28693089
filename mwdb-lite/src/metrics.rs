//! What was asked of the API in the last hour, for Prometheus. See MWDB API §A3.4.
//!
//! Counted in memory, and only when `enable_prometheus_metrics` is set. A count is forgotten an hour
//! after it last grew, as in the reference, which is why these are gauges.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::deprecated::Feature;

/// How long a count is kept that does not grow.
const KEPT: Duration = Duration::from_hours(1);
/// More series than this are not begun: labels hold logins, and there may be many.
const MOST_SERIES: usize = 20_000;

/// Labels in the order of [`REQUEST_LABELS`] or [`FEATURE_LABELS`].
type Labels = [String; 4];
type Series = BTreeMap<Labels, (Instant, u64)>;

const REQUEST_LABELS: [&str; 4] = ["endpoint", "method", "status_code", "user"];
const FEATURE_LABELS: [&str; 4] = ["feature", "endpoint", "method", "user"];

/// All counts.
#[derive(Default)]
pub(crate) struct Metrics {
    requests: Mutex<Series>,
    features: Mutex<Series>,
}

impl Metrics {
    /// An answered request; `user` is an address for who is not logged in.
    pub(crate) fn request(&self, endpoint: &str, method: &str, status: u16, user: &str) {
        count(&self.requests, [qualified(endpoint), method.to_uppercase(), status.to_string(), user.to_owned()]);
    }

    /// A use of something deprecated.
    pub(crate) fn deprecated(&self, feature: Feature, endpoint: &str, method: &str, user: Option<&str>) {
        let user = user.unwrap_or("None").to_owned();
        count(&self.features, [feature.name().to_owned(), qualified(endpoint), method.to_uppercase(), user]);
    }

    /// All of it in the text format of Prometheus.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        write_series(&mut text, "mwdb_api_requests", "API requests of the last hour", REQUEST_LABELS, &self.requests);
        write_series(&mut text, "mwdb_deprecated_usage", "Uses of deprecated features in the last hour", FEATURE_LABELS, &self.features);
        text
    }
}

/// A handler as the reference names it in metrics.
fn qualified(endpoint: &str) -> String {
    format!("api.{endpoint}")
}

fn count(series: &Mutex<Series>, labels: Labels) {
    let now = Instant::now();
    let mut series = series.lock().unwrap_or_else(PoisonError::into_inner);
    if series.len() >= MOST_SERIES {
        series.retain(|_, (grown, _)| grown.elapsed() < KEPT);
        if series.len() >= MOST_SERIES && !series.contains_key(&labels) {
            return;
        }
    }
    let entry = series.entry(labels).or_insert((now, 0));
    *entry = (now, if entry.0.elapsed() < KEPT { entry.1.saturating_add(1) } else { 1 });
}

fn write_series(text: &mut String, name: &str, help: &str, names: [&str; 4], series: &Mutex<Series>) {
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    let series = series.lock().unwrap_or_else(PoisonError::into_inner);
    for (labels, (_, count)) in series.iter().filter(|(_, (grown, _))| grown.elapsed() < KEPT) {
        let labels: Vec<String> = names.iter().zip(labels).map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let _ = writeln!(text, "{name}{{{}}} {count}", labels.join(","));
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_their_labels() {
        let metrics = Metrics::default();
        metrics.request("fileresource", "post", 200, "alice");
        metrics.request("fileresource", "post", 200, "alice");
        metrics.request("pingresource", "get", 200, "10.0.0.1");
        metrics.deprecated(Feature::FileDownload, "downloadresource", "get", None);
        metrics.deprecated(Feature::MetakeyApi, "metakeyresource", "get", Some("a\"b"));
        let text = metrics.text();
        for line in [
            "# TYPE mwdb_api_requests gauge",
            r#"mwdb_api_requests{endpoint="api.fileresource",method="POST",status_code="200",user="alice"} 2"#,
            r#"mwdb_api_requests{endpoint="api.pingresource",method="GET",status_code="200",user="10.0.0.1"} 1"#,
            r#"mwdb_deprecated_usage{feature="legacy_file_download",endpoint="api.downloadresource",method="GET",user="None"} 1"#,
            r#"mwdb_deprecated_usage{feature="legacy_metakey_api",endpoint="api.metakeyresource",method="GET",user="a\"b"} 1"#,
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in {text}");
        }
    }
}
