//! Configuration against karton-core's, all lines of `config.jsonl`.

use std::path::PathBuf;

use clap::Parser;
use karton_rs::{
    Config, ConfigError, ConsumerArgs, RedisSettings, S3Settings, ServiceSettings,
    json::{Map, Value},
    system::{SystemArgs, SystemSettings},
};

use crate::vectors::{load, text};

#[derive(Parser)]
struct ConsumerProgram {
    #[command(flatten)]
    args: ConsumerArgs,
}

#[derive(Parser)]
struct SystemProgram {
    #[command(flatten)]
    args: SystemArgs,
}

/// The files and the environment of a case, in a folder of its own.
struct Case<'a> {
    input: &'a Value,
    folder: tempfile::TempDir,
}

impl Case<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.ini"))
    }

    /// The stand-ins `{env}`, `{arg}` and `{missing}` become paths.
    fn resolve(&self, value: &str) -> String {
        ["env", "arg", "missing"]
            .iter()
            .fold(value.to_owned(), |text, name| text.replace(&format!("{{{name}}}"), &self.path(name).display().to_string()))
    }

    fn load(&self) -> Result<Config, ConfigError> {
        let empty = Map::new();
        for (name, content) in self.input.get("files").and_then(Value::as_object).unwrap_or(&empty) {
            std::fs::write(self.path(name.spelled()), content.as_str().unwrap()).unwrap();
        }
        let env = self.input.get("env").and_then(Value::as_object).unwrap_or(&empty);
        let env: Vec<(String, String)> =
            env.iter().map(|(name, value)| (name.to_string(), self.resolve(value.as_str().unwrap()))).collect();
        let standard = ["global", "user", "local"].map(|name| self.path(name));
        let from_env = env.iter().find(|(name, value)| name == "KARTON_CONFIG_FILE" && !value.is_empty());
        let mut named: Vec<PathBuf> = from_env.map(|(_, path)| PathBuf::from(path)).into_iter().collect();
        if let Some(file) = self.input.get("config_file").and_then(Value::as_str) {
            named.push(self.resolve(file).into());
        }
        Config::load_from(&standard, &named, env)
    }

    fn arguments(&self) -> Option<Vec<String>> {
        let arguments = self.input.get("args")?.as_array()?;
        Some(std::iter::once("program".to_owned()).chain(arguments.iter().map(|text| self.resolve(text.as_str().unwrap()))).collect())
    }

    fn program(&self) -> &str {
        self.input.get("program").and_then(Value::as_str).unwrap_or("producer")
    }
}

fn code(expected: &Value) -> Option<&str> {
    expected.get("error").filter(|error| error.get("code").is_some()).map(|error| text(error, "code"))
}

/// Applies the flags; an error is one of usage.
fn apply_arguments(case: &Case<'_>, config: &mut Config) -> Result<(), clap::Error> {
    let Some(arguments) = case.arguments() else { return Ok(()) };
    match case.program() {
        "system" => {
            let args = SystemProgram::try_parse_from(arguments)?.args;
            args.service.apply(config);
            args.apply(config);
        }
        _ => ConsumerProgram::try_parse_from(arguments)?.args.apply(config),
    }
    Ok(())
}

#[test]
fn every_case_of_the_truth_table_holds() {
    let cases = load("config.jsonl");
    assert_eq!(cases.len(), 77);
    for line in &cases {
        let id = text(line, "id");
        let case = Case { input: line.get("input").unwrap(), folder: tempfile::tempdir().unwrap() };
        let expected = line.get("expect_master").or_else(|| line.get("expect")).unwrap();
        let mut config = match case.load() {
            Ok(config) => config,
            Err(error) => {
                assert_eq!(Some(error.code()), code(expected), "{id}: {error}");
                continue;
            }
        };
        if let Err(error) = apply_arguments(&case, &mut config) {
            if code(expected) == Some("usage") {
                continue;
            }
            // Ours refuses a number that is none at once, the reference when it reads it.
            assert_eq!((id, code(expected.get("service").unwrap())), ("c075", Some("bad-integer")), "{error}");
            continue;
        }
        // Every service of ours may run several tasks at once, so the flag exists for all consumers.
        if id == "c068" {
            assert_eq!(code(expected), Some("usage"));
            continue;
        }
        assert_eq!(code(expected), None, "{id}: no error");
        check_sections(id, &case, &config, expected);
        check_redis(id, &config, expected);
        check_s3(id, &case, &config, expected);
        check_values(id, &case, &config, expected);
        check_service(id, &case, &config, expected);
    }
}

fn check_sections(id: &str, case: &Case<'_>, config: &Config, expected: &Value) {
    let Some(sections) = expected.get("sections").and_then(Value::as_object) else { return };
    let plain = |value: &Value| match value {
        // Flags are kept as the text that a file would hold.
        Value::Bool(flag) => if *flag { "1" } else { "0" }.to_owned(),
        Value::String(text) => case.resolve(text),
        other => other.to_json(),
    };
    for (section, options) in sections {
        for (option, value) in options.as_object().unwrap() {
            assert_eq!(config.get(section.spelled(), option.spelled()), Some(plain(value).as_str()), "{id}: [{section}] {option}");
        }
    }
    let names: Vec<&str> = config.sections().map(|(name, _)| name).collect();
    for name in &names {
        // A switch of the broker that the reference forgets to set, and ours does.
        assert!(sections.contains_key(*name) || id == "c074", "{id}: unexpected section [{name}]");
    }
}

fn check_redis(id: &str, config: &Config, expected: &Value) {
    let Some(expected) = expected.get("redis") else { return };
    let settings = match RedisSettings::from_config(config) {
        Ok(settings) => settings,
        Err(error) => return assert_eq!(Some(error.code()), code(expected), "{id}: {error}"),
    };
    assert_eq!(code(expected), None, "{id}");
    let number = |name: &str| expected.get(name).and_then(Value::as_number).and_then(karton_rs::json::Number::as_i64);
    let word = |name: &str| expected.get(name).and_then(Value::as_str).map(str::to_owned);
    assert_eq!(settings.url, word("url"), "{id}: url");
    assert_eq!(settings.username, word("username"), "{id}: username");
    assert_eq!(settings.password, word("password"), "{id}: password");
    assert_eq!(
        settings.socket_timeout.map(|timeout| timeout.as_secs()),
        number("socket_timeout").map(|seconds| seconds.try_into().unwrap()),
        "{id}"
    );
    if settings.url.is_none() {
        assert_eq!(Some(settings.host), word("host"), "{id}: host");
        assert_eq!(Some(i64::from(settings.port)), number("port"), "{id}: port");
        assert_eq!(settings.db, number("db"), "{id}: db");
        assert_eq!(Some(settings.ssl), expected.get("ssl").and_then(Value::as_bool), "{id}: ssl");
    }
}

fn check_s3(id: &str, case: &Case<'_>, config: &Config, expected: &Value) {
    let Some(expected) = expected.get("s3") else { return };
    let settings = match S3Settings::from_config(config) {
        Ok(settings) => settings,
        Err(error) => return assert_eq!(Some(error.code()), code(expected), "{id}: {error}"),
    };
    let available = case.input.get("iam_available").and_then(Value::as_bool).unwrap_or(false);
    if settings.iam_auth && available {
        assert_eq!(expected.get("iam"), Some(&Value::Bool(true)), "{id}");
    } else {
        match settings.keys() {
            Ok(keys) => {
                assert_eq!(keys.access_key, text(expected, "aws_access_key_id"), "{id}");
                assert_eq!(keys.secret_key, text(expected, "aws_secret_access_key"), "{id}");
            }
            Err(error) => return assert_eq!(Some(error.code()), code(expected), "{id}: {error}"),
        }
    }
    assert_eq!(settings.endpoint, text(expected, "endpoint_url"), "{id}");
    match (settings.bucket(), expected.get("bucket").unwrap()) {
        (Ok(bucket), expected) => assert_eq!(Some(bucket), expected.as_str(), "{id}"),
        (Err(error), expected) => assert_eq!(Some(error.code()), code(expected), "{id}"),
    }
}

fn check_values(id: &str, case: &Case<'_>, config: &Config, expected: &Value) {
    let wanted = case.input.get("get").and_then(Value::as_array).unwrap_or_default();
    let answers = expected.get("get").and_then(Value::as_array).unwrap_or_default();
    assert_eq!(wanted.len(), answers.len(), "{id}");
    for (question, answer) in wanted.iter().zip(answers) {
        let question = question.as_array().unwrap();
        let [kind, section, option] = [0, 1, 2].map(|index| question[index].as_str().unwrap());
        let default = question.get(3).cloned().unwrap_or_default();
        let got = match kind {
            "int" => config.int(section, option).map(|value| value.map(Value::from)),
            "bool" => config.bool(section, option).map(|value| value.map(Value::from)),
            _ => Ok(config.get(section, option).map(Value::from)),
        };
        match got {
            Ok(value) => {
                let answer = answer.as_str().map_or_else(|| answer.clone(), |text| case.resolve(text).into());
                assert_eq!(value.unwrap_or(default), answer, "{id}: {question:?}");
            }
            Err(error) => assert_eq!(Some(error.code()), code(answer), "{id}: {question:?}"),
        }
    }
}

fn check_service(id: &str, case: &Case<'_>, config: &Config, expected: &Value) {
    let Some(expected) = expected.get("service") else { return };
    let identity = if case.program() == "system" { "karton.system" } else { "karton.test" };
    let settings = match ServiceSettings::from_config(config, identity) {
        Ok(settings) => settings,
        Err(error) => return assert_eq!(Some(error.code()), code(expected), "{id}: {error}"),
    };
    let flag = |name: &str| expected.get(name).and_then(Value::as_bool);
    let number = |name: &str| expected.get(name).and_then(Value::as_number).and_then(karton_rs::json::Number::as_i64);
    // The random part of a debug identity is fixed in the table.
    let identity = expected.get("identity").and_then(Value::as_str).unwrap();
    match identity.split_once("-01020304-dev") {
        Some((stem, _)) => {
            let random = settings.identity.strip_prefix(&format!("{stem}-")).and_then(|rest| rest.strip_suffix("-dev")).unwrap();
            assert!(random.len() == 8 && random.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{id}");
        }
        None => assert_eq!(settings.identity, identity, "{id}"),
    }
    assert_eq!(Some(settings.debug), flag("debug"), "{id}: debug");
    assert_eq!(Some(settings.publish_logs), flag("enable_publish_log").map(|publish| publish && !settings.debug), "{id}: publishing");
    assert_eq!(Some(settings.log_level), number("log_level_number"), "{id}: log level");
    if case.program() == "system" {
        check_system(id, config, expected);
        return;
    }
    let class = case.program() == "consumer-class-values";
    assert_eq!(Some(settings.persistent.unwrap_or(!class)), flag("persistent"), "{id}: persistent");
    let timeout = if class { Some(7) } else { settings.task_timeout.map(|timeout| i64::try_from(timeout.as_secs()).unwrap()) };
    assert_eq!(timeout, number("task_timeout"), "{id}: task timeout");
    if let Some(limit) = number("concurrency_limit") {
        assert_eq!(settings.concurrency.unwrap_or(1), usize::try_from(limit).unwrap(), "{id}: concurrency");
    }
}

fn check_system(id: &str, config: &Config, expected: &Value) {
    let settings = match SystemSettings::from_config(config) {
        Ok(settings) => settings,
        Err(error) => return assert_eq!(Some(error.code()), code(expected), "{id}: {error}"),
    };
    let flag = |name: &str| expected.get(name).and_then(Value::as_bool);
    let seconds = |name: &str| expected.get(name).and_then(Value::as_number).and_then(karton_rs::json::Number::as_u64);
    assert_eq!(Some(settings.gc_interval.as_secs()), seconds("gc_interval"), "{id}");
    assert_eq!(Some(settings.task_dispatched_timeout.as_secs()), seconds("task_dispatched_timeout"), "{id}");
    assert_eq!(Some(settings.task_started_timeout.as_secs()), seconds("task_started_timeout"), "{id}");
    assert_eq!(Some(settings.task_crashed_timeout.as_secs()), seconds("task_crashed_timeout"), "{id}");
    assert_eq!(Some(settings.task_tracking_ttl.as_secs()), seconds("task_tracking_ttl"), "{id}");
    assert_eq!(Some(settings.enable_gc), flag("enable_gc"), "{id}");
    assert_eq!(Some(settings.enable_router), flag("enable_router"), "{id}");
    assert_eq!(Some(settings.enable_null_version_deletion), flag("enable_null_version_deletion"), "{id}");
    assert_eq!(Some(settings.enable_task_tracking), flag("enable_task_tracking"), "{id}");
    // The flag has no effect in the reference; here it has.
    assert_eq!(
        Some(settings.crash_started_tasks_on_timeout),
        if id == "c074" { Some(true) } else { flag("crash_started_tasks_on_timeout") },
        "{id}"
    );
}

#[test]
fn a_configuration_is_shown_without_its_values() {
    let file = "[redis]\nhost = h\npassword = hunter2\n[s3]\naddress = http://s\n";
    let config = Config::from_parts(&[("karton.ini", file)], []).unwrap();
    let shown = format!("{config:?}");
    assert!(shown.contains("password") && !shown.contains("hunter2"), "{shown}");
}

proptest::proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(text in "[\\[\\]a-c=:#;%()s \\n\\t]{0,80}") {
        let _ = Config::from_parts(&[("karton.ini", &text)], []);
    }
}

#[test]
fn a_missing_section_is_told_with_the_files_that_were_read_or_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (absent, present) = (folder.path().join("absent.ini"), folder.path().join("nosec.ini"));
    let told = |standard: &[std::path::PathBuf]| Config::load_from(standard, &[], []).unwrap_err().to_string();
    let nowhere = told(&[absent.clone(), "karton.ini.none".into()]);
    assert!(nowhere.contains(&format!("there is no `{}` or `karton.ini.none`", absent.display())), "{nowhere}");
    std::fs::write(&present, "[s3]\naddress = http://x\n").unwrap();
    assert_eq!(told(&[absent, present.clone()]), format!("missing section `[redis]` in `{}`: add it there", present.display()));
}

#[test]
fn a_standard_file_that_cannot_be_read_is_left_out_and_a_named_one_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let ini = folder.path().join("karton.ini");
    std::fs::write(&ini, "[redis]\nhost = h\n[s3]\naddress = http://s\n").unwrap();
    // A file that even root cannot read.
    let secret = std::path::PathBuf::from("/proc/self/mem");
    let config = Config::load_from(&[secret.clone(), ini.clone()], &[], []).unwrap();
    assert_eq!(config.get("redis", "host"), Some("h"));
    assert_eq!(
        Config::load_from(std::slice::from_ref(&ini), std::slice::from_ref(&secret), []).unwrap_err().code(),
        "config-file-unreadable"
    );
    let nothing = Config::load_from(&[secret], &[], []).unwrap_err();
    assert_eq!(nothing.code(), "missing-s3-section");
    assert!(nothing.to_string().contains("cannot read `/proc/self/mem`"), "{nothing}");
    // What is no text is a mistake in the file, wherever it stands.
    std::fs::write(&ini, b"[redis]\nhost = \xff\n").unwrap();
    assert_eq!(Config::load_from(&[ini], &[], []).unwrap_err().code(), "config-file-unreadable");
}

#[test]
fn an_address_of_s3_without_scheme_is_refused_with_the_fix() {
    let settings = |s3: &str| {
        let file = format!("[redis]\nhost = r\n[s3]\n{s3}\naccess_key = a\nsecret_key = s\n");
        S3Settings::from_config(&Config::from_parts(&[("k", &file)], []).unwrap())
    };
    let error = settings("address = 127.0.0.1:9000").err().unwrap().to_string();
    assert!(error.contains("[s3] address") && error.contains("http://127.0.0.1:9000"), "{error}");
    // A bucket without a name is none.
    let error = settings("address = http://s3\nbucket =").unwrap().bucket().unwrap_err().to_string();
    assert!(error.contains("[s3] bucket"), "{error}");
}

#[test]
fn a_message_names_what_has_set_the_value() {
    use clap::Parser;
    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        consumer: karton_rs::ConsumerArgs,
    }
    let servers = "[redis]\nhost = h\n[s3]\naddress = http://s3\naccess_key = a\nsecret_key = b\n";
    let files =
        [("/etc/karton.ini", servers), ("karton.ini", "[DEFAULT]\ntask_timeout = soon\n[karton]\nidentity = x\n[redis]\nport = 1x\n")];
    let told = |variables: &[(&str, &str)], flags: &[&str]| {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut config = Config::from_parts(&files, variables).unwrap();
        Args::parse_from([&["x"], flags].concat()).consumer.apply(&mut config);
        let redis = karton_rs::RedisSettings::from_config(&config).err().map(|error| error.to_string());
        let service = karton_rs::ServiceSettings::from_config(&config, "x").err().map(|error| error.to_string());
        format!("{} / {}", redis.unwrap_or_default(), service.unwrap_or_default())
    };
    assert!(told(&[], &[]).contains("[redis] port (in `karton.ini`): `1x` is not a whole number"));
    assert!(told(&[], &[]).contains("[karton] task_timeout (in `karton.ini`): `soon`"));
    assert!(told(&[("KARTON_REDIS_PORT", "2x")], &[]).contains("[redis] port (set by KARTON_REDIS_PORT): `2x`"));
    assert!(told(&[("KARTON_REDIS_URL", "redis://h?x=1")], &[]).contains("[redis] url (set by KARTON_REDIS_URL): the option `x`"));
    let flags = ["--task-timeout", "1", "--concurrency-limit", "0"];
    assert!(told(&[], &flags).contains("[karton] concurrency_limit (set by --concurrency-limit): 0"), "{}", told(&[], &flags));
    let missing = Config::from_parts(&[("karton.ini", "[redis]\ndb = 1\n[s3]\nbucket = b\n")], []).unwrap();
    let host = karton_rs::RedisSettings::from_config(&missing).err().unwrap().to_string();
    assert!(host.contains("set `host` in `[redis]` of `karton.ini`, or KARTON_REDIS_HOST"), "{host}");
    let broken = Config::from_parts(&[("a.ini", servers), ("b.ini", "[redis]\npassword = 50%\n")], []).unwrap_err().to_string();
    assert!(broken.starts_with("[redis] password (in `b.ini`): "), "{broken}");
}
