//! Answers when the disk fails in the middle of a call, or when a call is repeated: they are true.

use super::{Offer, Server, ToolSet};
use crate::fs::sim::{Call, Failure, SimDisk};
use crate::palace::{Options, Palace};
use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::service::{RoleClient, RunningService};
use serde_json::{Value, json};
use std::sync::Arc;

/// More calls of one kind than any tool makes.
const CALLS: u64 = 14;

fn open(disk: &SimDisk) -> Palace {
    Options::default().fs(Arc::new(disk.process())).auto_compact(false).open("/p").unwrap()
}

/// Every document, and its version.
fn there(disk: &SimDisk) -> Vec<(String, String)> {
    let documents = open(disk).scan_page("", None, 1_000).unwrap().documents.into_iter();
    documents.map(|found| (found.key.to_string(), found.etag.to_string())).collect()
}

struct Client {
    of: RunningService<RoleClient, ()>,
    palace: Palace,
}

impl Client {
    async fn of(palace: Palace) -> Self {
        let sets = vec![ToolSet::Palace, ToolSet::Documents, ToolSet::Memory];
        let server = Server::new(palace.clone(), &Offer { sets, ..Offer::default() });
        let (here, there) = tokio::io::duplex(1 << 16);
        drop(tokio::spawn(async move { server.serve(there).await.unwrap().waiting().await }));
        Client { of: ().serve(here).await.unwrap(), palace }
    }

    async fn call(&self, tool: &'static str, arguments: &Value) -> Result<Value, String> {
        let arguments = arguments.as_object().unwrap().clone();
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        let result = self.of.call_tool(params).await.unwrap();
        if result.is_error == Some(true) {
            return Err(serde_json::to_string(&result.content).unwrap());
        }
        Ok(result.structured_content.unwrap())
    }
}

/// A client of a palace that has a document in two versions, and a drawer; and what calls have to name of them.
async fn furnished(disk: &SimDisk) -> (Client, Value) {
    let client = Client::of(open(disk)).await;
    let value = json!({"key": "plan", "value": {"n": 1, "list": ["a"]}});
    let base = client.call("document_put", &value).await.unwrap()["etag"].clone();
    let value = json!({"key": "plan", "value": {"n": 2, "list": ["a", "b"]}});
    let now = client.call("document_put", &value).await.unwrap()["etag"].clone();
    let item = json!({"wing": "w", "room": "r", "content": "We sign tokens with RSA."});
    let drawer = client.call("palace_add_drawer", &item).await.unwrap()["drawer_id"].clone();
    (client, json!({"base": base, "now": now, "drawer": drawer}))
}

/// A tool that writes, and what it is called with here.
type Case = (&'static str, fn(&Value) -> Value);

const WRITES: [Case; 12] = [
    ("document_put", |of| json!({"key": "plan", "value": {"n": 3}, "base": of["base"]})),
    ("document_patch", |of| json!({"key": "plan", "patch": {"n": 3}, "base": of["base"]})),
    ("document_patch", |of| json!({"key": "plan", "patch": {"n": 3}, "if_match": of["now"]})),
    (
        "document_increment",
        |of| json!({"key": "plan", "path": "/times", "by": 2, "base": of["base"]}),
    ),
    ("document_restore", |of| json!({"key": "plan", "version": of["base"], "base": of["now"]})),
    ("document_delete", |of| json!({"key": "plan", "base": of["now"]})),
    ("palace_add_drawer", |_| json!({"wing": "w", "room": "r", "content": "We log to stdout."})),
    ("palace_update_drawer", |of| json!({"drawer_id": of["drawer"], "content": "Ed25519."})),
    ("palace_delete_drawer", |of| json!({"drawer_id": of["drawer"]})),
    ("palace_checkpoint", |_| json!({"items": [], "diary": {"agent_name": "Ada", "entry": "."}})),
    ("palace_diary_write", |_| json!({"agent_name": "Ada", "entry": "A quiet day."})),
    (
        "create_entities",
        |_| json!({"entities": [{"name": "Ada", "entityType": "person", "observations": []}]}),
    ),
];

#[tokio::test]
async fn a_call_that_panics_may_have_written() {
    let panicked = super::threads::Threads::new().run(|| panic!("a bug")).await;
    let told = panicked.map(|()| "done").unwrap_err().to_string();
    assert!(told.contains("may have written: read before you repeat"), "{told}");
}

/// Every call of the system fails once, in each of these tools.
#[tokio::test]
async fn an_acknowledged_write_is_never_answered_with_an_error() {
    let (mut untold, mut wrong) = (0, Vec::new());
    for (tool, arguments) in WRITES {
        let mut refused = 0;
        for (call, nth) in [Call::List, Call::Open, Call::Read, Call::Stat]
            .into_iter()
            .flat_map(|call| (1..=CALLS).map(move |nth| (call, nth)))
        {
            let disk = SimDisk::new(nth);
            let (client, of) = furnished(&disk).await;
            let before = there(&disk);
            disk.fail_nth(call, nth, Failure::NoHandle);
            let answer = client.call(tool, &arguments(&of)).await;
            disk.heal();
            let written = there(&disk) != before;
            match answer {
                Ok(answer) => {
                    assert!(written, "{tool}, {call:?} {nth}: nothing is there: {answer}");
                    untold += usize::from(answer.get("open_conflicts_unknown").is_some());
                }
                Err(error) if written && !error.contains("outcome is unknown") => {
                    wrong.push(format!("{tool}, {call:?} {nth}: it is there: {error}"));
                }
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 0, "{tool}: none of its calls failed");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(untold > 0, "no look for open conflicts failed");
}

/// A call that is repeated because its answer was lost finds its own version. It must not be told to apply its change
/// to that.
#[tokio::test]
async fn a_condition_that_fails_says_if_its_own_call_may_have_come_between() {
    let (client, of) = furnished(&SimDisk::new(1)).await;
    let value = json!({"n": 5, "in": {"a": 1, "b": 2}});
    let put = json!({"key": "plan", "value": value, "if_match": of["now"]});
    client.call("document_put", &put).await.unwrap();
    let change = json!({"drawer_id": of["drawer"], "content": "Ed25519.", "if_match": null});
    let filed = json!({"drawer_id": of["drawer"]});
    let filed = client.call("palace_get_drawer", &filed).await.unwrap()["etag"].clone();
    client.call("palace_update_drawer", &change).await.unwrap();
    let (plan, now) = ("plan", &of["now"]);
    let patch = |patch| json!({"key": plan, "patch": patch, "if_match": now});
    let other = |content| json!({"drawer_id": of["drawer"], "content": content, "if_match": filed});
    let same = "already what this call would make of it";
    let own = "may be its own";
    let cases = [
        ("document_put", put, [true, false]),
        ("document_put", json!({"key": plan, "value": {"n": 6}, "if_match": now}), [false; 2]),
        ("document_put", json!({"key": plan, "value": {"n": 5}, "if_match": "absent"}), [false; 2]),
        ("document_patch", patch(json!({"in": {"a": 1, "c": null}, "d": null})), [true, false]),
        ("document_patch", patch(json!({"in": {"a": null}})), [false; 2]),
        ("document_patch", patch(json!({"n": {}})), [false; 2]),
        (
            "document_restore",
            json!({"key": plan, "version": of["base"], "if_match": now}),
            [false; 2],
        ),
        ("document_increment", json!({"key": plan, "path": "/m", "if_match": now}), [false, true]),
        ("palace_update_drawer", other("Ed25519."), [true, false]),
        ("palace_update_drawer", other("RSA."), [false; 2]),
    ];
    for (tool, arguments, expected) in cases {
        let error = client.call(tool, &arguments).await.unwrap_err();
        assert!(error.contains("ETAG_MISMATCH"), "{tool}: {error}");
        assert!(error.contains("nothing was written"), "{tool}: {error}");
        let says = [same, own].map(|words| error.contains(words));
        assert_eq!(says, expected, "{tool} {arguments}: {error}");
    }
}

#[tokio::test]
async fn a_delete_that_is_repeated_changes_nothing_and_is_no_error() {
    let (client, of) = furnished(&SimDisk::new(1)).await;
    let of_drawer = json!({"drawer_id": of["drawer"]});
    let plan = json!({"key": "plan"});
    let gone = client.call("palace_delete_drawer", &of_drawer).await.unwrap();
    let deleted = client.call("document_delete", &plan).await.unwrap();
    assert_eq!((&gone["noop"], &deleted["changed"]), (&json!(false), &json!(true)));
    for compacted in [false, true] {
        if compacted {
            let report = client.palace.compact(Default::default()).unwrap();
            assert!(report.published.is_some(), "{report:?}");
        }
        let again = client.call("palace_delete_drawer", &of_drawer).await.unwrap();
        let expected = (&json!(true), &json!(true), &gone["etag"]);
        assert_eq!((&again["success"], &again["noop"], &again["etag"]), expected, "{compacted}");
        let again = client.call("document_delete", &plan).await.unwrap();
        assert_eq!((&again["changed"], &again["etag"]), (&json!(false), &deleted["etag"]));
    }
    let none = "drawer_w_r_000000000000000000000000";
    for (tool, arguments, says) in [
        ("palace_delete_drawer", json!({"drawer_id": none}), "there is no drawer"),
        (
            "palace_delete_drawer",
            json!({"drawer_id": of["drawer"], "if_match": of["now"]}),
            "there is no drawer",
        ),
        ("document_delete", json!({"key": "none"}), "there is no document"),
        ("document_delete", json!({"key": "plan", "if_match": of["now"]}), "ETAG_MISMATCH"),
    ] {
        let error = client.call(tool, &arguments).await.unwrap_err();
        assert!(error.contains(says), "{tool}: {error}");
    }
}
