//! `karton doctor`: what is wrong is found, and told with the way to put it right.

use karton_rs::{Consumer, Task, TaskState, json::Value, testing::eventually};
use serde_json::json;

use crate::{
    bed::Bed,
    cli::{Cli, objects, record, text},
};

/// The findings of a level and check whose message holds a text.
fn found<'a>(findings: &'a [Value], level: &str, check: &str, part: &str) -> Option<&'a Value> {
    findings
        .iter()
        .find(|finding| text(finding, "level") == level && text(finding, "check") == check && text(finding, "message").contains(part))
}

#[tokio::test]
async fn a_healthy_karton_is_told_so() {
    let bed = Bed::durable().await;
    let cli = Cli::on(&bed);
    let _broker = bed.broker();
    let _service = bed.consumer(Consumer::new("karton.a").filters(json!([{"type": "x"}])).process(|_, _| async { Ok(()) })).await;
    eventually("the broker", || async { bed.command::<bool>(&["EXISTS", "karton.rs.routers"]).await.then_some(()) }).await;
    let (code, out, err) = cli.run(&["doctor", "--strict"]).await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.ends_with("Everything is as it should be.\n") && out.contains("append-only file") && out.contains("karton.ini"), "{out}");
}

#[tokio::test]
async fn every_kind_of_trouble_is_found_with_a_way_out() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    bed.bind("karton.alone", &json!([{"type": "x"}])).await;
    bed.bind("karton.odd", &json!(["no rule"])).await;
    bed.put("karton.alone", TaskState::Spawned, &json!({})).await;
    bed.put("karton.unbound", TaskState::Spawned, &json!({})).await;
    bed.bind("[k]*.glob", &json!([{"type": "x"}])).await;
    let () = bed.command(&["HSET", "karton.binds", "karton.unreadable", "{"]).await;
    let () = bed.command(&["HSET", "karton.rs.quarantine", "x", "{}"]).await;
    let () = bed.command(&["SADD", "karton.rs.routers", "dead"]).await;
    let () = bed.command(&["RPUSH", "karton.rs.inflight:dead", "u"]).await;
    let () = bed.command(&["SET", "karton.task:broken", "{"]).await;
    let () = bed.command(&["CONFIG", "SET", "maxmemory", "1gb"]).await;
    let () = bed.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    // Lost ten minutes ago, in each way there is.
    let mut lost = Vec::new();
    for status in [TaskState::Declared, TaskState::Spawned, TaskState::Started] {
        let (uid, record) = record("karton.alone", status, &json!({}));
        let mut fields = Value::parse(&record).unwrap();
        let old = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64() - 600.0;
        fields.as_object_mut().unwrap().insert("last_update".to_owned(), old.into());
        let () = bed.command(&["SET", &format!("karton.task:{uid}"), &fields.to_json()]).await;
        lost.push(uid);
    }
    let (code, out, err) = cli.run(&["doctor", "--json"]).await;
    assert_eq!(code, 1, "{err}");
    let findings = objects(&out);
    for (level, check, part) in [
        ("warning", "redis", "keeps nothing on disk"),
        ("error", "redis", "drops keys (allkeys-lru)"),
        ("error", "broker", "nothing is routed"),
        ("warning", "broker", "1 tasks are in the hands of brokers that are gone"),
        ("warning", "quarantine", "1 things could not be read"),
        ("error", "services", "`karton.alone` has no consumers, and 1 tasks wait"),
        ("error", "services", "filters of `karton.odd`"),
        ("error", "services", "bind of `karton.unreadable` cannot be read"),
        ("error", "services", "1 tasks wait for `karton.unbound`, which has no bind"),
        ("error", "tasks", "1 are Declared and in no queue"),
        ("error", "tasks", "1 are Spawned and in no queue"),
        ("error", "tasks", "1 are Started, and nobody"),
        ("error", "tasks", "1 records cannot be read"),
        ("ok", "s3", "can be written"),
    ] {
        let finding = found(&findings, level, check, part).unwrap_or_else(|| panic!("{level} {check} {part}:\n{out}"));
        assert_eq!(finding.get("fix").is_some_and(|fix| fix.as_str().is_some()), level != "ok", "{finding}");
    }
    let glob = found(&findings, "warning", "services", "`[k]*.glob` has no consumers").unwrap();
    assert!(text(glob, "fix").ends_with(&format!("`karton -c {} delete '[k]*.glob'`", cli.ini.display())), "{glob}");
    // The fix that is named for a lost task works as it stands.
    pasted(&cli, text(found(&findings, "error", "tasks", "Declared and in no queue").unwrap(), "fix")).await;
    assert_eq!(bed.command::<Vec<String>>(&["LRANGE", "karton.tasks", "0", "-1"]).await, [lost[0].as_str()]);
}

#[tokio::test]
async fn a_task_whose_files_were_never_uploaded_is_not_called_lost_by_a_broker() {
    let mut bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let old = |task: &Task| {
        let mut fields = Value::parse(&task.to_json()).unwrap();
        fields.as_object_mut().unwrap().insert("last_update".to_owned(), 1_600_000_000.5.into());
        fields.to_json()
    };
    let file = json!({"__karton_resource__": {"uid": "gone", "name": "a.bin", "bucket": "karton", "size": 1}});
    let mut unsent = Task::new(json!({"type": "x"}));
    unsent.set_payload("sample", file);
    // This one was sent whole, and lost by a broker.
    let lost = crate::cli::sent_with_file(&bed, json!({"type": "x"}), b"content").await;
    let () = bed.command(&["DEL", "karton.tasks"]).await;
    for task in [&unsent, &lost] {
        let () = bed.command(&["SET", &format!("karton.task:{}", task.uid()), &old(task)]).await;
    }
    let (_, out, err) = cli.run(&["doctor", "--json"]).await;
    let findings = objects(&out);
    let restart = text(found(&findings, "error", "tasks", "1 are Declared and in no queue").unwrap(), "fix");
    assert!(restart.contains(lost.uid()) && !restart.contains(unsent.uid()), "{out}{err}");
    let cancel = text(found(&findings, "warning", "tasks", "1 are Declared and without some of their files").unwrap(), "fix");
    assert!(cancel.contains(unsent.uid()) && !cancel.contains(lost.uid()), "{out}{err}");
    // A service could do nothing with it.
    let (code, told, _) = cli.run(&["restart", unsent.uid()]).await;
    assert!(code == 1 && told.contains("`a.bin` was never uploaded"), "{told}");
    let cancel = &cancel[cancel.find("karton -c").unwrap()..];
    pasted(&cli, cancel).await;
    assert_eq!(bed.status(unsent.uid()).await, Some(karton_rs::TaskState::Finished));
    pasted(&cli, restart).await;
    assert_eq!(bed.command::<Vec<String>>(&["LRANGE", "karton.tasks", "0", "-1"]).await, [lost.uid()]);
    // Where nobody can tell, nothing is advised that could be wrong.
    let () = bed.command(&["DEL", "karton.tasks"]).await;
    let () = bed.command(&["SET", &format!("karton.task:{}", lost.uid()), &old(&lost)]).await;
    bed.stop_s3().await;
    let (_, out, err) = cli.run(&["doctor", "--json"]).await;
    let findings = objects(&out);
    let finding = found(&findings, "warning", "tasks", "cannot be told").unwrap_or_else(|| panic!("{out}{err}"));
    assert!(!text(finding, "fix").contains("restart"), "{finding}");
}

/// Runs a command in a shell, as a user who has copied it; gives what it prints.
async fn pasted(cli: &Cli, command: &str) -> String {
    let script = format!("karton() {{ {} \"$@\"; }}; {command}", env!("CARGO_BIN_EXE_karton"));
    let output = tokio::process::Command::new("sh").arg("-c").arg(script).env("HOME", cli.folder.path()).output().await.unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What stands between the first two backticks.
fn first_command(fix: &str) -> &str {
    fix.split('`').nth(1).unwrap_or_else(|| panic!("no command in {fix}"))
}

#[tokio::test]
async fn crashed_tasks_are_a_warning_with_the_command_that_lists_them() {
    let bed = Bed::durable().await;
    let cli = Cli::on(&bed);
    let _broker = bed.broker();
    let _service = bed.consumer(Consumer::new("karton.a").filters(json!([{"type": "x"}])).process(|_, _| async { Ok(()) })).await;
    eventually("the broker", || async { bed.command::<bool>(&["EXISTS", "karton.rs.routers"]).await.then_some(()) }).await;
    let crashed = [bed.put("karton.a", TaskState::Crashed, &json!({})).await, bed.put("karton.a", TaskState::Crashed, &json!({})).await];
    let (code, out, err) = cli.run(&["doctor"]).await;
    assert!(code == 0 && out.contains("2 have crashed") && out.ends_with("0 errors, 1 warning\n"), "{out}{err}");
    assert_eq!(cli.run(&["doctor", "--strict"]).await.0, 1);
    let findings = cli.json(&["doctor"]).await;
    let fix = text(found(&findings, "warning", "tasks", "2 have crashed").unwrap(), "fix");
    let listed = pasted(&cli, first_command(fix)).await;
    assert!(crashed.iter().all(|uid| listed.contains(uid.rsplit(':').next().unwrap())), "{fix}: {listed}");
}

#[tokio::test]
async fn fixes_address_the_servers_that_were_looked_at() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let findings = objects(&cli.run(&["doctor", "--json"]).await.1);
    let start = text(found(&findings, "warning", "services", "no service has declared a bind").unwrap(), "fix").to_owned();
    assert!(start.contains(&format!("`karton-classifier --config-file {}`", cli.ini.display())), "{start}");
    let fix = text(found(&findings, "warning", "redis", "keeps nothing on disk").unwrap(), "fix");
    let command = first_command(fix);
    assert_eq!(command, format!("redis-cli -h 127.0.0.1 -p {} CONFIG SET appendonly yes", bed.redis.port()));
    // The same without redis-cli, which need not be there.
    let words: Vec<&str> = command.split(' ').skip_while(|word| *word != "CONFIG").collect();
    let () = bed.command(&words).await;
    let findings = objects(&cli.run(&["doctor", "--json"]).await.1);
    assert!(found(&findings, "ok", "redis", "append-only file").is_some());
}

#[tokio::test]
async fn servers_that_are_away_are_named_one_by_one() {
    let mut bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let karton = bed.producer().await;
    karton.send_task(Task::new(json!({"type": "x"}))).await.unwrap();
    let () = bed.command(&["SET", "unrelated", "x"]).await;
    bed.stop_s3().await;
    let (code, out, _) = cli.run(&["doctor", "--json"]).await;
    let findings = objects(&out);
    assert_eq!(code, 1);
    assert!(found(&findings, "error", "s3", "http://127.0.0.1").is_some(), "{out}");
    assert!(found(&findings, "ok", "redis", "version").is_some(), "{out}");
    bed.start_s3().await;
    bed.redis.kill();
    let (code, out, _) = cli.run(&["doctor", "--json"]).await;
    let findings = objects(&out);
    assert!(code == 1 && found(&findings, "error", "redis", "127.0.0.1").is_some(), "{out}");
    assert!(found(&findings, "ok", "s3", "can be written").is_some(), "{out}");
    std::fs::write(&cli.ini, "[s3]\naddress = http://x\n").unwrap();
    let (code, out, _) = cli.run(&["doctor", "--json"]).await;
    assert!(code == 1 && found(&objects(&out), "error", "config", "[redis]").is_some(), "{out}");
    std::fs::write(&cli.ini, "host = x\n").unwrap();
    let (code, out, _) = cli.run(&["doctor", "--json"]).await;
    let findings = objects(&out);
    assert!(code == 1 && findings.iter().all(|finding| text(finding, "level") == "error"), "{out}");
    assert!(found(&findings, "error", "config", "karton.ini").is_some() && !out.contains("configure"), "{out}");
}

#[tokio::test]
async fn a_broker_that_a_full_redis_silences_is_not_taken_for_another() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let _broker = bed.broker();
    eventually("the broker", || async { bed.command::<bool>(&["EXISTS", "karton.rs.routers"]).await.then_some(()) }).await;
    let () = bed.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    // Its signs of life lapse, and it can give no more.
    for key in bed.command::<Vec<String>>(&["KEYS", "karton.rs.router:*"]).await {
        let () = bed.command(&["DEL", &key]).await;
    }
    let (_, out, err) = cli.run(&["doctor", "--json"]).await;
    let findings = objects(&out);
    assert!(found(&findings, "warning", "broker", "cannot be told while Redis is full").is_some(), "{out}{err}");
    assert!(found(&findings, "warning", "broker", "loses tasks").is_none(), "{out}");
}

#[tokio::test]
async fn keys_of_the_wrong_type_are_named() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    bed.bind("karton.a", &json!([{"type": "x"}])).await;
    for key in ["karton.tasks", "karton.metrics.produced", "karton.queue.low:karton.a"] {
        let () = bed.command(&["SET", key, "by hand"]).await;
    }
    let (code, out, err) = cli.run(&["doctor", "--json"]).await;
    assert_eq!(code, 1, "{err}");
    let findings = objects(&out);
    for (key, kind) in [("karton.tasks", "list"), ("karton.metrics.produced", "hash"), ("karton.queue.low:karton.a", "list")] {
        let finding = found(&findings, "error", "redis", &format!("key `{key}` is a string, and must be a {kind}"));
        let fix = text(finding.unwrap_or_else(|| panic!("{key}: {out}")), "fix");
        assert!(fix.contains("RENAME") && fix.contains(key), "{fix}");
    }
}
