//! `karton explain`, held against what the router does.

use std::collections::BTreeSet;

use karton_rs::{
    Filters, Inspect, Task, TaskState,
    filters::RuleOutcome,
    json::{Map, Value},
    testing::within,
};
use serde_json::json;

use crate::{
    bed::Bed,
    cli::{Cli, text},
    vectors::{load, text as vector_text},
};

#[test]
fn an_explanation_has_the_outcome_of_matching_and_a_reason() {
    for case in load("filters.jsonl") {
        let (filters, headers) = (case.get("filters").unwrap(), case.get("headers").and_then(Value::as_object).unwrap());
        let Ok(filters) = Filters::compile(filters) else { continue };
        let explanation = filters.explain(headers);
        assert_eq!(explanation.outcome, filters.matches(headers), "{case}");
        let reason = match &explanation.outcome {
            Ok(true) => explanation.rules.contains(&RuleOutcome::Matches),
            Ok(false) => {
                explanation.rules.iter().all(|rule| !matches!(rule, RuleOutcome::Matches | RuleOutcome::Error(_)))
                    || matches!(explanation.rules.last(), Some(RuleOutcome::Rejects(_)))
            }
            Err(error) => explanation.rules.last() == Some(&RuleOutcome::Error(error.clone())),
        };
        assert!(reason, "{case}: {explanation:?}");
    }
}

#[tokio::test]
async fn the_router_sends_tasks_where_explain_says() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let cases = load("filters.jsonl");
    // One bind for every third case, whatever it holds, and the headers of some of them.
    let mut pipeline = redis::pipe();
    for case in cases.iter().step_by(3) {
        let bind = Map::from_iter([
            ("info".to_owned(), Value::Null),
            ("version".to_owned(), "5.9.1".into()),
            ("persistent".to_owned(), true.into()),
            ("filters".to_owned(), case.get("filters").unwrap().clone()),
        ]);
        pipeline.hset("karton.binds", format!("karton.{}", vector_text(case, "id")), Value::from(bind).to_json()).ignore();
    }
    let () = pipeline.query_async(&mut bed.redis.connection().await).await.unwrap();
    let _broker = bed.broker();
    let karton = bed.producer().await;
    for case in cases.iter().step_by(3).filter(|case| case.get("expect") == Some(&Value::from(true))).step_by(30) {
        let sent = karton.send_task(Task::new(case.get("headers").unwrap().clone())).await.unwrap();
        within(std::time::Duration::from_secs(20), "routing", || async {
            (bed.status(sent.uid()).await == Some(TaskState::Finished)).then_some(())
        })
        .await;
        let analysis = Inspect::of(&karton).analysis(sent.root_uid()).await.unwrap();
        let routed: BTreeSet<&str> =
            analysis.tasks().iter().filter_map(|task| task.header_str("receiver").filter(|_| task.orig_uid().is_some())).collect();
        let verdicts = cli.json(&["explain", sent.uid()]).await;
        let said: BTreeSet<&str> = verdicts
            .iter()
            .filter(|verdict| verdict.get("matches") == Some(&Value::from(true)))
            .map(|verdict| text(verdict, "identity"))
            .collect();
        assert_eq!(said, routed, "{case}");
        assert!(!routed.is_empty());
        // The copy of a receiver explains itself as the task that it was made from.
        let copy = analysis.tasks().iter().find(|task| task.orig_uid().is_some()).unwrap();
        let of_copy = cli.json(&["explain", copy.uid(), "--identity", copy.header_str("receiver").unwrap()]).await;
        assert_eq!(of_copy[0].get("matches"), Some(&Value::from(true)), "{case}");
    }
}

#[tokio::test]
async fn explain_names_rule_header_and_values() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    for (identity, filters) in [
        ("karton.yes", json!([{"type": "sample"}])),
        ("karton.value", json!([{"type": "sample", "stage": "recognized"}, {"kind": "dump"}])),
        ("karton.negated", json!([{"type": "sample", "stage": "!raw"}])),
        ("karton.broken", json!([{"stage": {"$near": 1}}])),
        ("karton.nested", json!([{"meta.size": {"$lt": 10}}])),
    ] {
        bed.bind(identity, &filters).await;
    }
    let args = ["explain", "--header", "type=sample", "--header", "stage=raw", "--header", "meta:={\"size\": 12}"];
    let out = cli.out(&args).await;
    for expected in [
        "karton.yes gets it\n  rule 1 matches",
        "karton.value does not get it\n  rule 1: `stage` is \"raw\", the rule wants \"recognized\"\n  rule 2: there is no `kind`, the rule wants \"dump\"",
        "karton.negated does not get it\n  rule 1: `stage` is \"raw\", the rule wants \"!raw\", which rejects it for all rules",
        "karton.broken does not get it: its bind cannot be used\n  rule 1, `stage` > `$near`: unknown operator",
        "karton.nested does not get it\n  rule 1: `meta.size` is 12, the rule wants {\"$lt\": 10}",
    ] {
        assert!(out.contains(expected), "{out}");
    }
    let other = cli.out(&[&args[..], &["--identity", "karton.value"]].concat()).await;
    assert!(other.ends_with("\nOthers get it: `karton.yes`\n") && !other.contains("Nobody"), "{other}");
    let nobody = cli.out(&["explain", "--header", "type=none", "--identity", "karton.value"]).await;
    assert!(nobody.ends_with("\nNobody gets it.\n"), "{nobody}");
    let file = cli.folder.path().join("task.json");
    std::fs::write(&file, r#"{"headers": {"type": "sample"}}"#).unwrap();
    let from_file = cli.json(&["explain", "task.json", "--identity", "karton.yes"]).await;
    assert_eq!(from_file[0].get("matches"), Some(&Value::from(true)));
    std::fs::write(&file, "[1]").unwrap();
    for (wrong, code) in [
        (&["explain"][..], 2),
        (&["explain", "task.json"], 2),
        (&["explain", "unknown-uid"], 1),
        (&["explain", "--header", "a=b", "--identity", "karton.none"], 1),
    ] {
        assert_eq!(cli.run(wrong).await.0, code, "{wrong:?}");
    }
}

#[tokio::test]
async fn waiting_for_a_task_to_be_typed_ends_at_the_first_interrupt() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let child = cli.command(&["explain", "-"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    assert_eq!(cli.interrupted(child).await.0, 130);
}
