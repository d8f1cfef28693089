//! `karton explain`: which services want a task, and why the others do not.
//!
//! The one rule: the answer is that of the router, because it asks the same filters.

use std::io::Read as _;

use anyhow::Context as _;

use super::{
    Context, Outcome, Usage,
    output::{Out, Style, escape, escape_lines},
    select,
    task::shorten,
    values::{self, Entry},
};
use crate::{
    backend::read_filters,
    filters::{ConditionOutcome, RuleOutcome},
    json::{Map, Value},
    task::Task,
};

/// What is shown of a value.
const VALUE_LENGTH: usize = 80;
/// No task is larger.
const LARGEST_FILE: u64 = 256 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Uid of a stored task, or a JSON file with a task or with headers; `-` is standard input
    #[arg(required_unless_present = "headers")]
    task: Option<String>,
    /// A header: NAME=TEXT, or NAME:=JSON for what is no text; over those of the task
    #[arg(long = "header", value_name = "NAME=TEXT", value_parser = values::header)]
    headers: Vec<Entry>,
    /// Only this service; several may be given
    #[arg(long, value_name = "IDENTITY")]
    identity: Vec<String>,
    /// Print one object a line, one for each service
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Outcome> {
    let inspect = context.inspect()?;
    let mut headers = match &args.task {
        None => Map::new(),
        Some(source) if source == "-" || std::path::Path::new(source).is_file() => {
            let source = source.clone();
            // On a thread that stays behind when the user interrupts instead of typing a task.
            tokio::task::spawn_blocking(move || from_file(&source)).await??
        }
        Some(uid) => {
            // What is named like a file was perhaps meant to be one.
            let no_file =
                |error: anyhow::Error| if uid.contains(['/', '.']) { error.context(format!("there is no file `{uid}`")) } else { error };
            headers_for_router(&select::load(context, inspect.backend(), uid).await.map_err(no_file)?.0)
        }
    };
    headers.extend(args.headers.into_iter().map(|Entry { name, value }| (name, value)));
    let binds = inspect.backend().binds_raw().await?;
    if let Some(unknown) = args.identity.iter().find(|identity| !binds.contains_key(*identity)) {
        anyhow::bail!("no service `{unknown}` has declared a bind; `{}` shows all", context.commands.karton("list", &[]));
    }
    let mut out = Out::new();
    let (mut receivers, mut others) = (0_u64, Vec::new());
    if !args.json {
        out.line(format!("headers: {}", shorten(&headers.clone().into(), 1_000)))?;
    }
    for (identity, text) in &binds {
        let verdict = Verdict::of(identity, text, &headers);
        let gets_it = verdict.outcome == Ok(true);
        if !args.identity.is_empty() && !args.identity.contains(identity) {
            others.extend(gets_it.then(|| format!("`{}`", escape(identity))));
            continue;
        }
        receivers += u64::from(gets_it);
        if args.json { out.json(&verdict.object())? } else { verdict.print(&mut out)? }
    }
    if !args.json {
        match (receivers, others.as_slice()) {
            (0, []) if binds.is_empty() => out.line("No service has declared a bind: nobody gets it.")?,
            (0, []) => out.line("Nobody gets it.")?,
            (0, others) => out.line(format!("Others get it: {}", others.join(", ")))?,
            _ => {}
        }
    }
    out.flush()?;
    Ok(Outcome::Done)
}

/// A task, or bare headers.
fn from_file(source: &str) -> anyhow::Result<Map> {
    let reader: Box<dyn std::io::Read> = if source == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(source).with_context(|| source.to_owned())?)
    };
    let mut text = String::new();
    reader.take(LARGEST_FILE).read_to_string(&mut text).with_context(|| source.to_owned())?;
    let usage = |problem: String| Usage(format!("{source}: {problem}"));
    let Value::Object(object) = Value::parse(&text).map_err(|error| usage(format!("is not JSON: {error}")))? else {
        return Err(usage("holds no JSON object".to_owned()).into());
    };
    if object.contains_key("uid") && object.contains_key("headers") {
        return Ok(headers_for_router(&Task::from_json(&text).map_err(|error| usage(error.to_string()))?));
    }
    Ok(match object.get("headers") {
        Some(Value::Object(headers)) => headers.clone(),
        _ => object,
    })
}

/// The headers that the router saw: a routed copy has one more.
fn headers_for_router(task: &Task) -> Map {
    let mut headers = task.headers().clone();
    if task.orig_uid().is_some() {
        headers.shift_remove("receiver");
    }
    headers
}

/// What one bind says.
pub(super) struct Verdict {
    identity: String,
    pub(super) outcome: Result<bool, String>,
    rules: Vec<RuleOutcome>,
}

impl Verdict {
    pub(super) fn of(identity: &str, bind: &[u8], headers: &Map) -> Self {
        let unusable = |reason: String| Self { identity: identity.to_owned(), outcome: Err(reason), rules: Vec::new() };
        let filters = match read_filters(identity, bind) {
            Ok(filters) => filters,
            Err(reason) => return unusable(reason),
        };
        let explanation = filters.explain(headers);
        let outcome = explanation.outcome.map_err(|error| error.to_string());
        Self { identity: identity.to_owned(), outcome, rules: explanation.rules }
    }

    pub(super) fn print(&self, out: &mut Out) -> std::io::Result<()> {
        let (word, style) = match &self.outcome {
            Ok(true) => ("gets it", Style::Green),
            Ok(false) => ("does not get it", Style::Yellow),
            Err(_) => ("does not get it: its bind cannot be used", Style::Red),
        };
        out.line(format!("{} {}", out.paint(Style::Bold, &escape(&self.identity)), out.paint(style, word)))?;
        for reason in self.reasons() {
            out.line(format!("  {}", escape_lines(&reason)))?;
        }
        Ok(())
    }

    /// Rule by rule; of a task that is wanted, the rules that match.
    pub(super) fn reasons(&self) -> Vec<String> {
        let number = |index: usize| format!("rule {}", index + 1);
        let mut reasons: Vec<String> = match &self.outcome {
            Err(reason) => return vec![reason.clone()],
            Ok(true) => {
                let matching = self.rules.iter().enumerate().filter(|(_, rule)| **rule == RuleOutcome::Matches);
                vec![format!("{} matches", matching.map(|(index, _)| number(index)).collect::<Vec<_>>().join(", "))]
            }
            Ok(false) => Vec::new(),
        };
        for (index, rule) in self.rules.iter().enumerate() {
            match rule {
                RuleOutcome::Fails(condition) if self.outcome == Ok(false) => {
                    reasons.push(format!("{}: {}", number(index), sentence(condition)));
                }
                RuleOutcome::Rejects(condition) => {
                    reasons.push(format!("{}: {}, which rejects it for all rules", number(index), sentence(condition)));
                }
                _ => {}
            }
        }
        if self.rules.is_empty() {
            reasons.push("it has no rules".to_owned());
        }
        reasons
    }

    fn object(&self) -> Value {
        let rule = |(index, outcome): (usize, &RuleOutcome)| {
            let (word, condition, error) = match outcome {
                RuleOutcome::Matches => ("matches", None, None),
                RuleOutcome::Fails(condition) => ("fails", Some(condition), None),
                RuleOutcome::Rejects(condition) => ("rejects", Some(condition), None),
                RuleOutcome::Error(error) => ("error", None, Some(error.to_string())),
            };
            let mut fields = Map::from_iter([
                ("rule".to_owned(), Value::from(index as u64 + 1)),
                ("outcome".to_owned(), word.into()),
                ("error".to_owned(), error.into()),
            ]);
            if let Some(condition) = condition {
                fields.insert("header".to_owned(), condition.header.as_str().into());
                fields.insert("wanted".to_owned(), condition.wanted.clone());
                fields.insert("present".to_owned(), condition.actual.is_some().into());
                fields.insert("actual".to_owned(), condition.actual.clone().unwrap_or_default());
            }
            Value::from(fields)
        };
        Map::from_iter([
            ("identity".to_owned(), self.identity.as_str().into()),
            ("matches".to_owned(), matches!(self.outcome, Ok(true)).into()),
            ("error".to_owned(), self.outcome.clone().err().into()),
            ("rules".to_owned(), Value::Array(self.rules.iter().enumerate().map(rule).collect())),
        ])
        .into()
    }
}

fn sentence(condition: &ConditionOutcome) -> String {
    let wanted = short(&condition.wanted);
    if condition.header.starts_with('$') {
        return format!("`{}` on all headers wants {wanted}", condition.header);
    }
    match &condition.actual {
        Some(actual) => format!("`{}` is {}, the rule wants {wanted}", condition.header, short(actual)),
        None => format!("there is no `{}`, the rule wants {wanted}", condition.header),
    }
}

fn short(value: &Value) -> String {
    super::output::cut(&value.to_json(), VALUE_LENGTH).into_owned()
}
