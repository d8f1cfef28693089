//! One log record in the form of Python's logging. See Karton protocol §10.1.

use std::fmt::{self, Write as _};
use std::sync::OnceLock;

use tracing::{
    Event,
    field::{Field, Visit},
};

use crate::{
    json::{float_text, write_string},
    task::now,
};

/// `task`: the short uid and the record of the task in progress, the record as a JSON string.
pub(super) fn build(event: &Event<'_>, identity: &str, level_name: &str, level_number: i64, task: Option<(&str, &str)>) -> String {
    let metadata = event.metadata();
    let mut text = Text::default();
    event.record(&mut text);
    let file = metadata.file().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let mut out = String::with_capacity(384 + text.message.len() + task.map_or(0, |(_, record)| record.len()));
    // Sorted by name.
    let _ = write!(out, "{{\"created\": {}", float_text(now()));
    member(&mut out, "filename", file);
    member(&mut out, "funcName", metadata.target());
    member(&mut out, "hostname", hostname());
    member(&mut out, "levelname", level_name);
    let _ = write!(out, ", \"levelno\": {level_number}, \"lineno\": {}", metadata.line().unwrap_or(0));
    member(&mut out, "message", &text.finish());
    member(&mut out, "module", file.trim_end_matches(".rs"));
    member(&mut out, "name", identity);
    if let Some((_, record)) = task {
        out.push_str(", \"task\": ");
        out.push_str(record);
    }
    member(&mut out, "task_id", task.map_or("(no task)", |(uid, _)| uid));
    member(&mut out, "type", "log");
    out.push('}');
    out
}

fn member(out: &mut String, name: &str, text: &str) {
    out.push_str(", \"");
    out.push_str(name);
    out.push_str("\": ");
    write_string(out, text);
}

/// Message first, then the other fields as `name=value`.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(self) -> String {
        self.message + &self.fields
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ =
            if field.name() == "message" { write!(self.message, "{value:?}") } else { write!(self.fields, " {}={value:?}", field.name()) };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = if field.name() == "message" { self.message.write_str(value) } else { write!(self.fields, " {}={value}", field.name()) };
    }
}

fn hostname() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
        name.map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
    })
}
