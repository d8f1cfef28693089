//! Two blobs side by side: what one has and the other has not, line by line.
//!
//! The one rule: it is bounded in size, before anything is read, and in time, and says so where it had to stop.

use std::time::Duration;

use rocket::{Route, State, get};
use similar::{Algorithm, ChangeTag, TextDiff};

use super::{
    respond::{Page, PageResult, SeeOther, see_other},
    session::Session,
    view::{
        diff::{DiffPage, Line, Outcome, Side},
        frame::Section,
    },
};
use crate::{
    api::params::Hash,
    error::ApiError,
    objects::pair::{self, Contents, Named},
    state::App,
};

/// Larger blobs are not compared here.
const LARGEST: u64 = 1 << 20;
/// After so long the rest counts as changed.
const PATIENCE: Duration = Duration::from_millis(500);
/// Lines around a change that are the same.
const AROUND: usize = 3;
/// How many lines are shown.
const MOST: usize = 2000;

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![form, page]
}

/// Where the form of a blob leads.
#[get("/diff?<a>&<b>")]
fn form(a: &str, b: &str, _session: Session) -> PageResult<SeeOther> {
    let parse = |text: &str| Hash::parse(text.trim()).ok_or_else(|| ApiError::BadRequest("This is no id of a blob.".to_owned()));
    Ok(see_other(format!("/diff/{}/{}", parse(a)?.0, parse(b)?.0)))
}

#[get("/diff/<a>/<b>")]
async fn page(a: Hash, b: Hash, session: Session, app: &State<App>) -> PageResult {
    let (sides, contents) = app.look(&session.0, move |c, caller| pair::find(c, caller, [&a.0, &b.0], LARGEST)).await?;
    let outcome = match contents {
        Contents::Same => Outcome::Same,
        Contents::TooLarge => Outcome::TooLarge,
        Contents::Both(left, right) => tokio::task::spawn_blocking(move || compare(&left, &right)).await.map_err(anyhow::Error::from)?,
    };
    let [left, right] = sides.map(|side: Named| Side { id: side.id, name: side.name.into() });
    Page::new(&DiffPage { frame: session.frame(app, Section::Blobs), left, right, outcome })
}

fn compare(left: &str, right: &str) -> Outcome {
    let diff = TextDiff::configure().algorithm(Algorithm::Myers).timeout(PATIENCE).diff_lines(left, right);
    // Where both end without a line break that is no difference.
    let tells_end = left.ends_with('\n') != right.ends_with('\n');
    let mut lines = Vec::new();
    for group in diff.grouped_ops(AROUND) {
        if let Some(first) = group.first() {
            lines.push(Line::Place(first.old_range().start + 1, first.new_range().start + 1));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            if lines.len() >= MOST {
                return Outcome::Lines { lines, clipped: true };
            }
            let text = change.value();
            let text = text.strip_suffix('\n').unwrap_or(text).into();
            lines.push(match change.tag() {
                ChangeTag::Delete => Line::Gone(text),
                ChangeTag::Insert => Line::New(text),
                ChangeTag::Equal => Line::Kept(text),
            });
            if tells_end && change.missing_newline() && change.tag() != ChangeTag::Equal {
                lines.push(Line::NoBreak);
            }
        }
    }
    Outcome::Lines { lines, clipped: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_shown_with_what_is_around_it() {
        let left: String = (0..100).map(|number| format!("line {number}\n")).collect();
        let right = left.replace("line 50\n", "other\n");
        let Outcome::Lines { lines, clipped: false } = compare(&left, &right) else { panic!("lines") };
        assert_eq!(lines.len(), 1 + 3 + 2 + 3);
        assert_eq!(lines[0], Line::Place(48, 48));
        assert_eq!(lines[4], Line::Gone("line 50".into()));
        assert_eq!(lines[5], Line::New("other".into()));
    }

    #[test]
    fn a_missing_line_break_at_the_end_is_told() {
        let lines = |left, right| match compare(left, right) {
            Outcome::Lines { lines, .. } => lines,
            other => panic!("{other:?}"),
        };
        let expected = [Line::Place(1, 1), Line::Kept("a".into()), Line::Gone("b".into()), Line::NoBreak, Line::New("b".into())];
        assert_eq!(lines("a\nb", "a\nb\n"), expected);
        assert!(lines("a\nb\n", "a\nb").ends_with(&[Line::New("b".into()), Line::NoBreak]));
        assert!(!lines("a\nb", "a\nc").contains(&Line::NoBreak));
    }

    #[test]
    fn it_ends_whatever_is_compared() {
        let many = |word: &str| (0..100_000).map(|number| format!("{word}{}\n", number * 7919 % 10_007)).collect::<String>();
        let started = std::time::Instant::now();
        let Outcome::Lines { lines, clipped: true } = compare(&many("a"), &many("b")) else { panic!("lines") };
        assert_eq!(lines.len(), MOST);
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }
}
