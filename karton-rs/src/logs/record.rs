//! One log record in the form of Python's logging. See Karton protocol §10.1.

use std::fmt::{self, Write as _};
use std::sync::OnceLock;

use tracing::{
    Event,
    field::{Field, Visit},
};

use crate::{
    json::{Map, Value},
    task::{Task, now},
};

pub(super) fn build(event: &Event<'_>, identity: &str, level_name: &str, level_number: i64, task: Option<&Task>) -> String {
    let metadata = event.metadata();
    let mut text = Text::default();
    event.record(&mut text);
    let file = metadata.file().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let mut record = Map::new();
    let mut set = |name: &str, value: Value| record.insert(name.to_owned(), value);
    set("type", "log".into());
    set("name", identity.into());
    set("levelname", level_name.into());
    set("levelno", level_number.into());
    set("message", text.finish().into());
    set("created", now().into());
    set("hostname", hostname().into());
    set("filename", file.into());
    set("module", file.trim_end_matches(".rs").into());
    set("lineno", metadata.line().unwrap_or(0).into());
    set("funcName", metadata.target().into());
    set("task_id", task.map_or("(no task)", Task::task_uid).into());
    if let Some(task) = task {
        set("task", task.to_json().into());
    }
    Value::from(record).to_json()
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
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME"));
        name.map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
    })
}
