//! The reference beside ours: the same tasks go through the Python reporter and through this one, each
//! with an MWDB of its own, and afterwards both hold the same. `make compare-reporter` does it with MWDB Core.
//!
//! The one rule: where we differ on purpose, the case says how, and the dump of the reference is
//! corrected by that and nothing else.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use karton_rs::{
    Config, Karton, LocalResource, Task, TaskState,
    json::Value as Json,
    testing::{RedisServer, within},
};
use playground_s3::Server;
use reporter::IDENTITY;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::mwdb::{ACCOUNT, Dump, Mwdb};
use crate::service::queue_name;
use crate::stub::sha256;

/// Requests above this are refused by both MWDBs.
const LARGEST: usize = 64 * 1024;

/// The interpreter with karton-mwdb-reporter; None: left out, outside CI only.
fn interpreter() -> Option<PathBuf> {
    let path = std::env::var_os("KARTON_PEERS_PYTHON");
    if path.is_none() {
        assert!(std::env::var("CI").is_err(), "KARTON_PEERS_PYTHON is not set: run the tests by `make test`");
    }
    path.map(PathBuf::from)
}

/// What a reporter lives in.
struct Side {
    redis: RedisServer,
    mwdb: Mwdb,
    ini: String,
    karton: Karton,
}

impl Side {
    /// With a new mwdb-lite, or the MWDB Core that answers at an address.
    async fn start(s3: &Server, core: Option<&str>) -> Self {
        let largest = u64::try_from(LARGEST).unwrap();
        let mwdb = match core {
            Some(api) => Mwdb::attach(api).await,
            None => Mwdb::start(Some(largest)).await,
        };
        let redis = RedisServer::start().await;
        let ini = format!(
            "[redis]\nhost = 127.0.0.1\nport = {}\n[s3]\naddress = {}\naccess_key = key\nsecret_key = secret\nbucket = karton\n[mwdb]\napi_url = {}\nusername = {}\npassword = {}\n",
            redis.port(),
            s3.url(),
            mwdb.api,
            ACCOUNT.0,
            ACCOUNT.1
        );
        let config = Config::from_parts(&[("karton.ini", &ini)], []).unwrap();
        let karton = Karton::connect(&config, "karton.test", None).await.unwrap();
        Self { redis, mwdb, ini, karton }
    }

    fn config(&self) -> Config {
        Config::from_parts(&[("karton.ini", &self.ini)], []).unwrap()
    }

    /// Puts routed tasks into the reporter's queue.
    async fn queue(&self, records: &[(String, String)]) {
        let mut connection = self.redis.connection().await;
        for (uid, record) in records {
            let () = redis::cmd("SET").arg(format!("karton.task:{uid}")).arg(record).query_async(&mut connection).await.unwrap();
            let () = redis::cmd("RPUSH").arg(queue_name()).arg(uid).query_async(&mut connection).await.unwrap();
        }
    }

    /// What dashboards show about the reporter.
    async fn info(&self) -> Value {
        let mut connection = self.redis.connection().await;
        let bind: String = redis::cmd("HGET").arg("karton.binds").arg(IDENTITY).query_async(&mut connection).await.unwrap();
        serde_json::from_str::<Value>(&bind).unwrap()["info"].take()
    }

    /// How the tasks ended, in their order.
    async fn outcomes(&self, records: &[(String, String)], who: &str) -> Vec<TaskState> {
        let mut states = Vec::new();
        for (uid, _) in records {
            let ended = || async {
                let status = self.karton.task(uid).await.unwrap().unwrap().status();
                matches!(status, TaskState::Finished | TaskState::Crashed).then_some(status)
            };
            states.push(within(Duration::from_mins(1), &format!("{who} to end {uid}"), ended).await);
        }
        states
    }
}

struct Python(Child);

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

type Mend = Box<dyn Fn(&mut Dump)>;

/// One shape of task.
struct Case {
    name: &'static str,
    task: Task,
    crashes: bool,
    /// The reference crashes although we do not.
    only_python_crashes: bool,
    /// An object that it then does not leave behind.
    only_ours: Option<String>,
    /// What we do better on purpose, done to what the reference has left behind.
    mend: Option<Mend>,
}

/// The table.
struct Cases {
    list: Vec<Case>,
    known: String,
}

/// Uid of the analysis of a case, the same on every run.
fn root(number: usize) -> String {
    format!("6fb91d1a-0000-4000-8000-{number:012}")
}

fn file(task: &mut Task, key: &str, name: &str, content: impl Into<bytes::Bytes>) -> String {
    let content = content.into();
    let id = sha256(&content);
    task.attach(key, LocalResource::from_bytes(name, content).unwrap());
    id
}

fn list(object: &mut Value, field: &str, items: &[Value]) {
    let list = object[field].as_array_mut().unwrap();
    list.extend_from_slice(items);
    list.sort_by_key(Value::to_string);
    list.dedup();
}

impl Cases {
    /// A case whose task `fill` completes.
    fn add(&mut self, name: &'static str, headers: Value, fill: impl FnOnce(&mut Task, &str)) -> &mut Case {
        let mut task = Task::with_root_uid(headers, &root(self.list.len()));
        fill(&mut task, &self.known);
        self.list.push(Case { name, task, crashes: false, only_python_crashes: false, only_ours: None, mend: None });
        self.list.last_mut().unwrap()
    }

    fn sample(&mut self, name: &'static str, fill: impl FnOnce(&mut Task, &str)) -> &mut Case {
        self.add(name, json!({"type": "sample", "stage": "recognized", "kind": "runnable"}), |task, known| {
            file(task, "sample", "s.bin", format!("sample of: {name}"));
            fill(task, known);
        })
    }

    fn config(&mut self, name: &'static str, fill: impl FnOnce(&mut Task, &str)) -> &mut Case {
        self.add(name, json!({"type": "config", "family": "fam"}), |task, known| {
            task.set_payload("config", json!({"case": name}));
            fill(task, known);
        })
    }

    fn blob(&mut self, name: &'static str, fill: impl FnOnce(&mut Task, &str)) -> &mut Case {
        self.add(name, json!({"type": "blob", "kind": "raw"}), |task, known| {
            task.set_payload("content", format!("blob of: {name}"));
            fill(task, known);
        })
    }

    /// A sample whose resource has that name.
    fn named(&mut self, name: &'static str, given: Json) -> &mut Case {
        self.sample(name, |task, _| {
            file(task, "sample", "s.bin", format!("named: {name}"));
            let mut sample = task.payload("sample").unwrap().clone();
            let fields = sample.as_object_mut().unwrap().get_mut("__karton_resource__").unwrap().as_object_mut().unwrap();
            fields.insert("name".to_owned(), given);
            task.set_payload("sample", sample);
        })
    }

    /// The task of the last case once more.
    fn again(&mut self, name: &'static str) -> &mut Case {
        let task = self.list.last().unwrap().task.clone();
        self.list.push(Case { name, task, crashes: false, only_python_crashes: false, only_ours: None, mend: None });
        self.list.last_mut().unwrap()
    }
}

fn everything(task: &mut Task) {
    task.set_payload("tags", vec!["Tag With Blanks", "b", "żółw"]);
    task.set_payload("attributes", json!({"k": ["v", {"x": [1, null]}, 0, false], "karton": ["not by hand"]}));
    task.set_payload("comments", vec!["first", "second\nline"]);
}

/// All shapes that producers are known to send, in the order in which they are processed.
fn cases(known: &str) -> Vec<Case> {
    let mut cases = Cases { list: Vec::new(), known: known.to_owned() };
    samples(&mut cases);
    configs(&mut cases);
    blobs(&mut cases);
    cases.list
}

fn samples(cases: &mut Cases) {
    cases.sample("a sample alone", |_, _| {});
    cases.sample("a sample with all metadata and a parent", |task, _| {
        everything(task);
        file(task, "parent", "parent.bin", "parent of everything");
    });
    cases.again("a sample that comes again");
    // The reference leaves an object that it finds out of the new analysis.
    let id = sha256(b"sample of: a sample alone");
    cases.sample("a sample in a second analysis", |task, _| drop(file(task, "sample", "s.bin", "sample of: a sample alone"))).mend =
        Some(Box::new(move |dump| list(dump.get_mut(&id).unwrap(), "analyses", &[root(3).into()])));
    cases.sample("a known parent by id", |task, known| task.set_payload("parent", known));
    cases.sample("an unknown parent by id", |task, _| task.set_payload("parent", "b".repeat(64)));
    cases.sample("an unknown parent by MD5", |task, _| task.set_payload("parent", "b".repeat(32)));
    cases.sample("an empty parent", |task, _| task.set_payload("parent", Json::Null));
    cases.sample("a parent of another type", |task, _| task.set_payload("parent", 5));
    cases.sample("a parent that is no hash", |task, _| task.set_payload("parent", "nonsense")).crashes = true;
    cases.sample("its own parent", |task, _| drop(file(task, "parent", "s.bin", "sample of: its own parent")));
    cases.sample("too large", |task, _| drop(file(task, "sample", "large", vec![b'x'; 2 * LARGEST])));
    cases.sample("its parent too large", |task, _| drop(file(task, "parent", "large", vec![b'y'; 2 * LARGEST])));
    cases.sample("both too large", |task, _| {
        file(task, "sample", "large", vec![b'z'; 2 * LARGEST]);
        file(task, "parent", "larger", vec![b'z'; 3 * LARGEST]);
    });
    cases.add("an analyzed sample", json!({"type": "sample", "stage": "analyzed"}), |task, _| drop(file(task, "sample", "dump", "dump")));
    cases.add("an unrecognized sample", json!({"type": "sample", "stage": "unrecognized"}), |task, _| drop(file(task, "sample", "?", "?")));
    cases.sample("comments by their old name", |task, _| task.set_payload("additional_info", vec!["old"]));
    cases.sample("comments by both names", |task, _| {
        task.set_payload("additional_info", vec!["old"]);
        task.set_payload("comments", vec!["new"]);
    });
    cases.sample("nothing where metadata belongs", |task, _| {
        for key in ["tags", "attributes", "comments"] {
            task.set_payload(key, Json::Null);
        }
    });
    cases.sample("the persistent payload wins", |task, _| {
        task.set_payload("tags", vec!["plain"]);
        task.set_payload_persistent("tags", vec!["persistent"]);
    });
    cases.sample("odd file names", |task, _| drop(file(task, "sample", "../ą b\"?.exe", "odd name")));
    cases.sample("a plain value as attribute", |task, _| task.set_payload("attributes", json!({"k": "text"})));
    cases.sample("an attribute that nobody defined", |task, _| task.set_payload("attributes", json!({"unknown": ["v"]}))).crashes = true;
    cases.sample("an empty attribute value", |task, _| task.set_payload("attributes", json!({"k": [""]}))).crashes = true;
    cases.sample("an empty tag", |task, _| task.set_payload("tags", vec![" "])).crashes = true;
    cases.sample("an empty comment", |task, _| task.set_payload("comments", vec![""])).only_python_crashes = true;
    // The reference takes a text for a list of letters.
    let id = sha256(b"sample of: single values");
    cases
        .sample("single values", |task, _| {
            task.set_payload("tags", "abc");
            task.set_payload("comments", "xy");
        })
        .mend = Some(Box::new(move |dump| {
        let object = dump.get_mut(&id).unwrap();
        assert_eq!((&object["tags"], object["comments"].as_array().unwrap().len()), (&json!(["a", "b", "c"]), 2));
        object["tags"] = json!(["abc"]);
        object["comments"] = json!([[ACCOUNT.0, "xy"]]);
    }));
    // It uploads before it looks at the comments.
    let id = sha256(b"sample of: a comment that is no text");
    let case = cases.sample("a comment that is no text", |task, _| task.set_payload("comments", vec![5]));
    case.crashes = true;
    case.mend = Some(Box::new(move |dump| assert!(dump.remove(&id).is_some())));
    cases.named("an empty name", "".into());
    let case = cases.named("a name that is null", Json::Null);
    case.only_python_crashes = true;
    case.only_ours = Some(sha256(b"named: a name that is null"));
    let case = cases.sample("an empty text as parent", |task, _| task.set_payload("parent", ""));
    case.only_python_crashes = true;
    case.only_ours = Some(sha256(b"sample of: an empty text as parent"));
    cases
        .sample("a file that is gone", |task, _| {
            let mut sample = task.resource("sample").unwrap();
            "gone".clone_into(&mut sample.uid);
            task.set_payload("sample", sample.to_value());
        })
        .crashes = true;
    cases.sample("a size that is wrong", |task, _| {
        let mut sample = task.resource("sample").unwrap();
        sample.size = Some(3);
        task.set_payload("sample", sample.to_value());
    });
    cases.sample("a sample that is none", |task, _| task.set_payload("sample", "text")).crashes = true;
    cases.add("no sample", json!({"type": "sample", "stage": "recognized"}), |_, _| {}).crashes = true;
}

fn configs(cases: &mut Cases) {
    cases.config("a config alone", |_, _| {});
    cases.config("a config with files and all metadata", |task, _| {
        everything(task);
        file(task, "sample", "original.exe", "the original");
        file(task, "parent", "dump.bin", "the dump");
    });
    cases.again("a config that comes again");
    cases.config("a config with ids", |task, known| {
        task.set_payload("sample", known);
        task.set_payload("parent", sha256(b"sample of: a sample alone"));
    });
    cases.config("a config with unknown ids", |task, _| {
        task.set_payload("sample", "c".repeat(64));
        task.set_payload("parent", "d".repeat(64));
    });
    cases.config("a config without parent", |task, known| task.set_payload("sample", known));
    cases.config("the sample is the dump", |task, _| {
        file(task, "sample", "one.exe", "one and the same");
        file(task, "parent", "one.exe", "one and the same");
    });
    cases.config("the dump is too large", |task, known| {
        task.set_payload("sample", known);
        task.set_payload("comments", vec!["mine"]);
        file(task, "parent", "dump", vec![b'd'; 2 * LARGEST]);
    });
    cases.config("the dump is too large and there is no sample", |task, _| drop(file(task, "parent", "dump", vec![b'd'; 2 * LARGEST])));
    cases.config("the sample is too large", |task, _| {
        file(task, "sample", "original", vec![b'o'; 2 * LARGEST]);
        file(task, "parent", "dump", "a small dump");
    });
    cases.config("a config of a type", |task, _| task.set_header("config_type", "dynamic"));
    for (name, config) in [
        ("the family of the config", json!({"family": "own", "type": "no"})),
        ("the type of the config", json!({"type": "typed"})),
        ("no family at all", json!({"url": "http://example.com"})),
    ] {
        cases.config(name, |task, _| {
            task.set_header("family", "");
            task.set_payload("config", config);
        });
    }
    cases.add("no family header", json!({"type": "config"}), |task, _| task.set_payload("config", json!({"f": 1}))).only_python_crashes =
        true;
    cases.config("numbers of all kinds", |task, _| {
        let config = r#"{"int": 1, "float": 1.0, "small": 1e-7, "large": 1e22, "bool": true, "null": null, "list": [3, "3", []]}"#;
        task.set_payload("config", Json::parse(config).unwrap());
    });
    let blob = |content: &str| json!({"in-blob": {"blob_name": "n", "blob_type": "t", "content": content}});
    // The reference tags embedded blobs only when the config was there before.
    let embedded = sha256(b"embedded once");
    cases.config("a new config with an embedded blob", |task, _| task.set_payload("config", json!({"raw": blob("embedded once")}))).mend =
        Some(Box::new(move |dump| list(dump.get_mut(&embedded).unwrap(), "tags", &["fam".into()])));
    cases.config("embedded blobs", |task, _| {
        task.set_payload("config", json!({"raw": blob("embedded"), "same": blob("embedded"), "deep": {"in": blob("data")}}));
    });
    cases.again("a config with embedded blobs that comes again");
    cases.config("a key that is no longer supported", |task, _| task.set_payload("config", json!({"store-in-gridfs": {}}))).crashes = true;
    cases.add("no config", json!({"type": "config", "family": "fam"}), |_, _| {}).crashes = true;
}

fn blobs(cases: &mut Cases) {
    cases.blob("a blob alone", |_, _| {});
    cases.blob("a blob with all metadata and a parent", |task, _| {
        everything(task);
        task.set_payload("name", "strings.txt");
        file(task, "parent", "parent.bin", "parent of a blob");
    });
    cases.again("a blob that comes again");
    cases.blob("a blob with a known parent", |task, known| task.set_payload("parent", known));
    let case = cases.blob("a blob whose name is null", |task, _| task.set_payload("name", Json::Null));
    case.only_python_crashes = true;
    case.only_ours = Some(sha256(b"blob of: a blob whose name is null"));
    cases.blob("its own parent", |_, _| {});
    cases.again("a blob that names itself as parent");
    let case = cases.list.last_mut().unwrap();
    let id = sha256(b"blob of: its own parent");
    case.task.set_payload("parent", id.as_str());
    case.mend = Some(Box::new(move |dump| {
        let object = dump.get_mut(&id).unwrap();
        assert_eq!(object["parents"], json!([id]));
        (object["parents"], object["children"]) = (json!([]), json!([]));
    }));
    cases.blob("a blob whose parent is too large", |task, _| drop(file(task, "parent", "large", vec![b'p'; 2 * LARGEST])));
    cases.blob("a blob of any text", |task, _| task.set_payload("content", "zażółć\u{0}\u{1f600}\r\n"));
    cases.blob("a blob that is too large", |task, _| task.set_payload("content", "b".repeat(2 * LARGEST))).crashes = true;
    cases.blob("a blob with the content of a file", |task, _| task.set_payload("content", KNOWN)).crashes = true;
    cases.add("a blob of no kind", json!({"type": "blob"}), |task, _| task.set_payload("content", "x")).crashes = true;
    cases.add("a blob without content", json!({"type": "blob", "kind": "raw"}), |_, _| {}).crashes = true;
}

/// Content of a file that both MWDBs have from the start.
const KNOWN: &str = "known before all";

/// What is different on purpose wherever it occurs: a comment is made once, and the words of ours differ.
fn once(dump: &mut Dump) {
    for object in dump.values_mut() {
        let comments = object["comments"].as_array_mut().unwrap();
        for comment in comments.iter_mut() {
            if comment[1].as_str().unwrap().starts_with("warning: mwdb-reporter") {
                comment[1] = "warning: mwdb-reporter".into();
            }
        }
        comments.sort_by_key(Value::to_string);
        comments.dedup();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_reporters_leave_the_same_behind() {
    let Some(interpreter) = interpreter() else { return };
    let folder = tempfile::tempdir().unwrap();
    let s3 = Server::start(&folder.path().join("s3"), "127.0.0.1:0".parse().unwrap(), "key", "secret").await.unwrap();
    s3.ensure_bucket("karton").await.unwrap();
    let cores = std::env::var("MWDB_CORES").unwrap_or_default();
    let mut cores = cores.split_whitespace();
    let (python_side, our_side) = (Side::start(&s3, cores.next()).await, Side::start(&s3, cores.next()).await);
    let mut known = String::new();
    for side in [&python_side, &our_side] {
        side.mwdb.define_attribute("k").await;
        known = side.mwdb.upload("known.bin", KNOWN).await;
    }
    let cases = cases(&known);

    // Sending uploads what is attached; the record is then given to both as a broker would route it.
    let mut records = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let mut task = case.task.clone();
        task.set_header("receiver", IDENTITY);
        let sent = our_side.karton.send_task(task).await.unwrap();
        let mut record: Value = serde_json::from_str(&our_side.karton.task(sent.uid()).await.unwrap().unwrap().to_json()).unwrap();
        let uid = format!("{{{}}}:{number:08}", sent.root_uid());
        record["uid"] = uid.clone().into();
        record["status"] = "Spawned".into();
        records.push((uid, record.to_string()));
    }
    let ini = folder.path().join("karton.ini");
    std::fs::write(&ini, &python_side.ini).unwrap();
    let log = folder.path().join("python.log");
    let mut command = Command::new(interpreter.with_file_name("karton-mwdb-reporter"));
    command.arg("--config-file").arg(&ini).env("HOME", folder.path()).current_dir(folder.path()).stdin(Stdio::null());
    let output = std::fs::File::create(&log).unwrap();
    let python = Python(command.stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap());
    let stop = CancellationToken::new();
    let ours = tokio::spawn(reporter::run(our_side.config(), stop.clone()));
    python_side.queue(&records).await;
    our_side.queue(&records).await;
    let (pythons, outcomes) = tokio::join!(python_side.outcomes(&records, "the reference"), our_side.outcomes(&records, "our reporter"));
    assert_eq!(python_side.info().await, our_side.info().await);
    stop.cancel();
    drop(python);
    let log = std::fs::read_to_string(&log).unwrap();
    for (case, (python, our)) in cases.iter().zip(pythons.iter().zip(&outcomes)) {
        let state = |crashes| if crashes { TaskState::Crashed } else { TaskState::Finished };
        assert_eq!(*our, state(case.crashes), "{}", case.name);
        assert_eq!(*python, state(case.crashes || case.only_python_crashes), "{}: the reference\n{log}", case.name);
    }
    let (mut expected, mut found) = tokio::join!(python_side.mwdb.dump(), our_side.mwdb.dump());
    for (id, object) in &found {
        let comments = object["comments"].as_array().unwrap();
        assert!(comments.windows(2).all(|pair| pair[0] != pair[1]), "a comment twice on {id}: {object}");
    }
    // Crashed tasks of the reference leave nothing that ours would not have.
    for case in &cases {
        if let Some(mend) = &case.mend {
            mend(&mut expected);
        }
    }
    once(&mut expected);
    once(&mut found);
    // What only we report, because the reference crashes.
    for case in &cases {
        if let Some(id) = &case.only_ours {
            assert!(found.remove(id).is_some(), "{}", case.name);
        }
    }
    let ids = |dump: &Dump| dump.keys().cloned().collect::<Vec<_>>();
    let no_family = karton_rs::config_dhash(&Json::from(json!({"f": 1})));
    assert!(found.remove(&no_family).is_some_and(|config| config["family"] == "unknown"));
    assert_eq!(ids(&found), ids(&expected));
    for (id, object) in &expected {
        assert_eq!(found[id], *object, "{id}");
    }
    assert!(expected.len() > 40, "the table covers little: {}", expected.len());
    ours.await.unwrap().unwrap();
}
