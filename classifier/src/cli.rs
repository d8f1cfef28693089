//! `karton-classifier classify`: what the service would say about local files.
//!
//! The one rule: results go to `out`, one line a file and in order; a file that cannot be read is reported to
//! `errors` and the others go on.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use classifier::{
    classify::{Classification, classify as decide},
    content::Content,
    magic::{Detection, Fallback, LibMagic, detect},
};
use serde::Serialize;

/// What is said about one file.
#[derive(Serialize)]
struct Line {
    file: String,
    tag: Option<String>,
    rule: String,
    kind: Option<String>,
    platform: Option<String>,
    extension: Option<String>,
    mime: Option<String>,
    magic: Option<String>,
}

/// Classifies the files; false when one of them could not be read.
pub(crate) fn classify(files: &[PathBuf], json: bool, out: &mut impl Write, errors: &mut impl Write) -> anyhow::Result<bool> {
    let libmagic = LibMagic::open()?;
    let mut lines = Vec::new();
    let mut all_read = true;
    for file in files {
        match line(&libmagic, file, errors) {
            Ok(line) if json => writeln!(out, "{}", serde_json::to_string(&line)?)?,
            Ok(line) => lines.push(line),
            Err(error) => {
                writeln!(errors, "{error:#}")?;
                all_read = false;
            }
        }
    }
    table(&lines, out)?;
    Ok(all_read)
}

fn line(libmagic: &LibMagic, file: &Path, errors: &mut impl Write) -> anyhow::Result<Line> {
    let content = Content::open(file)?;
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let detection = detect(libmagic, content.unpadded(), Fallback::default());
    if let Some(failure) = &detection.failure {
        writeln!(errors, "{}: {failure}", file.display())?;
    }
    let outcome = decide(&name, &content, &detection);
    let file = file.to_string_lossy().into_owned();
    Ok(match outcome.class {
        Some(class) => Line::of_class(file, class),
        None => Line::of_unrecognized(file, detection),
    })
}

impl Line {
    fn of_class(file: String, class: Classification) -> Self {
        let tag = Some(class.tag());
        let Classification { rule, kind, platform, extension, mime, magic } = class;
        Self { file, tag, rule, kind: Some(kind), platform, extension, mime, magic }
    }

    fn of_unrecognized(file: String, detection: Detection) -> Self {
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        let (mime, magic) = (text(detection.mime), text(detection.magic));
        Self { file, tag: None, rule: "none".to_owned(), kind: None, platform: None, extension: None, mime, magic }
    }
}

fn table(lines: &[Line], out: &mut impl Write) -> std::io::Result<()> {
    let cells = |line: &Line| {
        // A name may hold control characters, which a terminal would obey.
        let file: String = line.file.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect();
        [file, line.tag.clone().unwrap_or_else(|| "-".to_owned()), line.rule.clone()]
    };
    let rows: Vec<[String; 3]> = lines.iter().map(cells).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let [file, tag, rule] = [width(0), width(1), width(2)];
    for (row, line) in rows.iter().zip(lines) {
        writeln!(out, "{:file$}  {:tag$}  {:rule$}  {}", row[0], row[1], row[2], line.magic.as_deref().unwrap_or("-"))?;
    }
    Ok(())
}
