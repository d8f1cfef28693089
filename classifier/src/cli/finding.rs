//! What is said about one file.
//!
//! The one rule: a finding holds the headers and tags of the tasks that the service would send, made by the
//! code that makes them there.

use classifier::{
    classify::{Classification, Trial, explain},
    content::Content,
    magic::{Fallback, LibMagic, detect},
    task,
    yara::{SCAN_TIMEOUT, Scanner},
};
use karton_rs::{
    Task,
    json::{Map, Value},
};
use serde_json::json;

/// What is said about one file.
pub(crate) struct Finding {
    pub(crate) file: String,
    pub(crate) magic: String,
    pub(crate) mime: String,
    /// One for each task that the service would send.
    pub(crate) answers: Vec<Answer>,
    /// What was tried, when asked for: YARA rules, then the decision list.
    pub(crate) tried: Option<Vec<Trial>>,
    pub(crate) warnings: Vec<String>,
}

/// A task that the service would send.
pub(crate) struct Answer {
    pub(crate) headers: Map,
    pub(crate) tag: Option<String>,
    pub(crate) rule: String,
    pub(crate) why: String,
}

/// Looks at a content.
pub(crate) fn find(
    libmagic: &LibMagic,
    mut scanner: Option<&mut Scanner<'_>>,
    file: String,
    name: &str,
    content: &Content,
    wants_tried: bool,
) -> anyhow::Result<Finding> {
    let matches = match scanner.as_mut() {
        Some(scanner) => scanner.scan(&content.whole()?, SCAN_TIMEOUT)?,
        None => Vec::new(),
    };
    let detection = detect(libmagic, content.unpadded(), Fallback::default());
    let (outcome, trials) = explain(name, content, &detection);

    let mut answers: Vec<Answer> =
        matches.iter().map(|class| answer(Some(&class.clone().into()), "the YARA rule matches".to_owned())).collect();
    if outcome.class.is_some() || answers.is_empty() {
        let why = trials.last().filter(|trial| trial.holds).map_or_else(|| "no rule holds".to_owned(), |trial| trial.reasons.join("; "));
        answers.push(answer(outcome.class.as_ref(), why));
    }
    let yara_trials = scanner.iter().flat_map(|scanner| scanner.rules().classes()).map(|class| {
        let holds = matches.contains(class);
        let reason = if holds { "matches" } else { "does not match, or is private" };
        Trial { rule: format!("{}:{}", class.file, class.rule), holds, reasons: vec![reason.to_owned()] }
    });
    let tried = wants_tried.then(|| yara_trials.chain(trials).collect());
    let failure = detection.failure.map(|failure| format!("unable to get magic: {failure}"));
    let warnings = failure.into_iter().chain(outcome.warnings).collect();
    Ok(Finding { file, magic: detection.magic, mime: detection.mime, answers, tried, warnings })
}

fn answer(class: Option<&Classification>, why: String) -> Answer {
    let raw = Task::new(json!({"type": "sample", "kind": "raw"}));
    Answer {
        headers: task::headers(&raw, class),
        tag: class.map(Classification::tag),
        rule: class.map_or_else(|| "none".to_owned(), |class| class.rule.clone()),
        why,
    }
}

impl Finding {
    /// As one JSON object.
    pub(crate) fn to_json(&self) -> Value {
        let text = |text: &str| Some(text).filter(|text| !text.is_empty()).map_or(Value::Null, Value::from);
        let mut object = Map::from_iter([
            ("file".to_owned(), Value::from(self.file.as_str())),
            ("magic".to_owned(), text(&self.magic)),
            ("mime".to_owned(), text(&self.mime)),
            ("tasks".to_owned(), self.answers.iter().map(Answer::to_json).collect::<Vec<Value>>().into()),
        ]);
        if let Some(tried) = &self.tried {
            object.insert("tried".to_owned(), tried.iter().map(trial_to_json).collect::<Vec<Value>>().into());
        }
        object.into()
    }
}

impl Answer {
    fn to_json(&self) -> Value {
        let tags: Vec<&str> = self.tag.iter().map(String::as_str).collect();
        Value::from(Map::from_iter([
            ("headers".to_owned(), self.headers.clone().into()),
            ("tags".to_owned(), tags.into()),
            ("rule".to_owned(), self.rule.as_str().into()),
            ("why".to_owned(), self.why.as_str().into()),
        ]))
    }
}

fn trial_to_json(trial: &Trial) -> Value {
    let reasons: Vec<&str> = trial.reasons.iter().map(String::as_str).collect();
    Value::from(Map::from_iter([
        ("rule".to_owned(), trial.rule.as_str().into()),
        ("holds".to_owned(), Value::Bool(trial.holds)),
        ("reasons".to_owned(), reasons.into()),
    ]))
}
