//! Messages as careless clients and models send them: each is answered, on standard input and over HTTP, in both eras.

use crate::client::serve;
use crate::http::wire::{Answer, Client as HttpClient, NEW_ERA, Server};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const SETS: [&str; 2] = ["--tools", "palace,memory,documents"];

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"raw","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;

fn initialize(version: &str) -> String {
    let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}});
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string()
}

/// The answers of a server to these bytes on its standard input, once it has ended by itself.
fn answers(palace: &Path, input: &[u8]) -> Vec<Value> {
    let mut command: Command = serve(palace, &SETS);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The one answer with this id.
fn by_id(answers: &[Value], id: &Value) -> Value {
    let found: Vec<&Value> = answers.iter().filter(|answer| answer["id"] == *id).collect();
    let [answer] = found[..] else { panic!("{id}: {answers:#?}") };
    answer.clone()
}

/// A way to send one message to a server, and to get its answer.
struct Way<'a> {
    is_new: bool,
    http: Option<&'a Server>,
    palace: &'a Path,
}

impl Way<'_> {
    /// The answer to a request with these params, as JSON text; a method of another era too.
    fn ask(&self, method: &str, params: Option<&str>) -> Value {
        let params = params.map(|params| match (self.is_new, params.strip_prefix('{')) {
            (true, Some("}")) => format!("{{{META}}}"),
            (true, Some(rest)) => format!("{{{META},{rest}"),
            _ => params.to_owned(),
        });
        let params = params.map_or(String::new(), |params| format!(r#","params":{params}"#));
        self.send(&format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}"{params}}}"#), method)
    }

    fn send(&self, message: &str, method: &str) -> Value {
        let Some(server) = self.http else {
            let first = if self.is_new { String::new() } else { initialize("2025-11-25") + "\n" };
            let all = answers(self.palace, format!("{first}{message}\n").as_bytes());
            return by_id(&all, &json!(7));
        };
        let client = match self.is_new {
            true => HttpClient::without_session(server, "raw"),
            false => HttpClient::with_session(server, "raw"),
        };
        // The first name is that of the client, in this era.
        let mut names = message.split(r#""name":""#).skip(1).filter_map(|it| it.split('"').next());
        let name = names.find(|name| *name != "raw").unwrap_or("none");
        let mut headers = client.headers();
        if self.is_new {
            headers.extend([("Mcp-Method", method), ("Mcp-Name", name)]);
        }
        server.post(message, &headers).message()
    }

    /// The result of a call.
    fn call(&self, tool: &str, arguments: &str) -> Value {
        let params = format!(r#"{{"name":"{tool}","arguments":{arguments}}}"#);
        let answer = self.ask("tools/call", Some(&params));
        assert!(answer["result"].is_object(), "{tool} {arguments}: {answer}");
        answer["result"].clone()
    }

    fn done(&self, tool: &str, arguments: &str) -> Value {
        let result = self.call(tool, arguments);
        assert_ne!(result["isError"], true, "{tool} {arguments}: {result}");
        let text: Value =
            serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, result["structuredContent"], "text and structure say the same");
        text
    }

    fn error(&self, tool: &str, arguments: &str) -> String {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], true, "{tool} {arguments}: {result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// The code and the words of an error of the protocol.
    fn refused(&self, method: &str, params: Option<&str>) -> (i64, String) {
        let answer = self.ask(method, params);
        let error = &answer["error"];
        let code =
            error["code"].as_i64().unwrap_or_else(|| panic!("{method} {params:?}: {answer}"));
        (code, error["message"].as_str().unwrap().to_owned())
    }
}

/// Tries something in each way: both eras, on standard input and over HTTP, each with a palace of its own.
fn in_every_way(test: impl Fn(&Way<'_>)) {
    for is_new in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        test(&Way { is_new, http: None, palace: &dir.path().join("palace") });
        let palace = dir.path().join("by-http");
        let server = Server::start(&palace, None);
        test(&Way { is_new, http: Some(&server), palace: &palace });
    }
}

#[test]
fn half_characters_are_taken_as_u_fffd_and_the_answer_says_so() {
    in_every_way(|way| {
        let half = r#"{"wing":"w","room":"r","content":"half \ud83d"}"#;
        let filed = way.done("palace_add_drawer", half);
        assert!(filed["notes"][0].as_str().unwrap().contains("U+FFFD"), "{filed}");
        let found = way.done("palace_search", r#"{"query":"half"}"#);
        assert_eq!(found["results"][0]["text"], "half \u{fffd}");
        assert_eq!(found.get("notes"), None, "nothing was replaced in it");
        let error = way.error("palace_search", r#"{"query":"\udc00"}"#);
        assert!(error.contains("no word") && error.contains("U+FFFD"), "{error}");
        let entity = r#"{"entities":[{"name":"\ud83d","entityType":"t","observations":[]}]}"#;
        let made = way.call("create_entities", entity);
        let structure = &made["structuredContent"];
        assert_eq!(structure["entities"][0]["name"], "\u{fffd}");
        assert_eq!(structure.as_object().unwrap().len(), 1, "the reference has no notes");
        assert!(made["content"][1]["text"].as_str().unwrap().contains("U+FFFD"), "{made}");
    });
}

#[test]
fn numbers_that_are_rounded_refuse_writes_and_are_noted_in_reads() {
    in_every_way(|way| {
        for lost in ["12345678901234567890123", "-9223372036854775809", "18446744073709551617"] {
            let put = format!(r#"{{"key":"k","value":{{"ids":[1,{lost}]}}}}"#);
            let error = way.error("document_put", &put);
            assert!(error.contains(&format!("not kept exactly: value.ids[1] {lost};")), "{error}");
            assert!(error.ends_with("pass others as texts. Nothing was done"), "{error}");
        }
        let none = way.error("document_get", r#"{"key":"k"}"#);
        assert!(none.contains("k"), "nothing was written: {none}");
        let kept = r#"{"a":9223372036854775807,"b":18446744073709551615,"c":9007199254740993,"d":1e300,"e":0.1}"#;
        let put = way.done("document_put", &format!(r#"{{"key":"k","value":{kept}}}"#));
        assert_eq!(put.get("notes"), None, "{put}");
        let found = way.done("document_get", r#"{"key":"k"}"#);
        assert_eq!(found["value"].to_string(), kept.replace("1e300", "1e+300"), "{found}");
        let rounded = r#"{"key":"f","value":{"pi":3.14159265358979323846}}"#;
        let note = "rounded, because numbers are doubles: value.pi 3.14159265358979323846 as 3.141592653589793";
        assert_eq!(way.done("document_put", rounded)["notes"], json!([note]));
        let error =
            way.error("document_increment", r#"{"key":"c","path":"/n","by":9007199254740993.0}"#);
        assert!(error.contains("not kept exactly: by 9007199254740993.0;"), "{error}");
        let found = way.done("palace_search", r#"{"query":"q","limit":12345678901234567890123}"#);
        let notes = found["notes"].to_string();
        assert!(
            notes.contains("limit 12345678901234567890123 as 1.2345678901234568e+22"),
            "{notes}"
        );
    });
}

#[test]
fn fields_sent_twice_refuse_writes_and_are_noted_in_reads() {
    in_every_way(|way| {
        way.done("document_put", r#"{"key":"k","value":{"n":1}}"#);
        for twice in [
            r#"{"key":"k","value":{"n":2},"if_match":"0123456789abcdef","if_match":null}"#,
            r#"{"key":"other","key":"k","value":{"n":2}}"#,
            r#"{"key":"k","value":{"n":2},"value":{"n":2}}"#,
            r#"{"key":"k","value":{"n":2,"a":{"b":1,"b":2}}}"#,
            r#"{"key":"k","value":{"n":2},"\u0062ase":"0123456789abcdef","base":null}"#,
        ] {
            let error = way.error("document_put", twice);
            assert!(
                error.contains("sent twice: ") && error.contains("Nothing was done"),
                "{error}"
            );
        }
        let found = way.done("document_get", r#"{"key":"k"}"#);
        assert_eq!(found["value"]["n"], 1, "nothing was written");
        let error = way.error("document_get", r#"{"key":"other","key":"k"}"#);
        assert!(error.contains("sent twice: key"), "{error}");
        let error = way.error("search_nodes", r#"{"query":"q","query":"r"}"#);
        assert!(error.contains("sent twice: query"), "its answers have no notes: {error}");
        let found = way.done("palace_search", r#"{"query":"q","limit":1,"limit":2}"#);
        assert_eq!(found["notes"], json!(["sent twice, and the last one was taken: limit"]));
        for params in [
            r#"{"name":"palace_status","name":"document_list","arguments":{}}"#,
            r#"{"name":"document_list","arguments":{"limit":1},"arguments":{}}"#,
            r#"{"name":"document_list","arguments":{},"_meta":{"a":1,"a":2}}"#,
        ] {
            let (code, said) = way.refused("tools/call", Some(params));
            assert!(code == -32602 && said.contains("twice"), "{params}: {code} {said}");
        }
    });
}

#[test]
fn unknown_tools_are_answered_with_the_nearest_name() {
    in_every_way(|way| {
        let (code, said) = way.refused("tools/call", Some(r#"{"name":"none"}"#));
        assert_eq!((code, &*said), (-32602, "there is no tool none: tools/list has the names"));
    });
    let dir = tempfile::tempdir().unwrap();
    let way = Way { is_new: false, http: None, palace: &dir.path().join("palace") };
    let (code, said) = way.refused("tools/call", Some(r#"{"name":"add_drawer"}"#));
    assert_eq!(
        (code, &*said),
        (-32602, "there is no tool add_drawer: did you mean palace_add_drawer?")
    );
}

#[test]
fn malformed_params_of_known_methods_get_invalid_params() {
    let deep = format!(
        r#"{{"name":"palace_search","arguments":{{"query":{}{}}}}}"#,
        "[".repeat(300),
        "]".repeat(300)
    );
    in_every_way(|way| {
        for (method, params, words) in [
            (
                "tools/call",
                Some(r#"{"name":"palace_search","arguments":{"query":1e400}}"#),
                "double",
            ),
            ("tools/call", Some(&*deep), "nested"),
            ("tools/call", Some(r#"{"name":"palace_search","arguments":[]}"#), "params.arguments"),
            ("tools/call", Some(r#"{"name":"palace_search","arguments":"x"}"#), "params.arguments"),
            ("tools/call", Some("[]"), "params of tools/call must be an object"),
            ("tools/call", None, "tools/call needs params"),
            ("ping", Some("[]"), "params of ping must be an object"),
            ("resources/read", Some(r#"{"uri":5}"#), "resources/read"),
        ] {
            let (code, said) = way.refused(method, params);
            assert_eq!(code, -32602, "{method} {params:?}: {said}");
            assert!(said.contains(words), "{said}");
        }
        let answer = way.send(r#"{"jsonrpc":"2.0","id":7}"#, "none");
        assert_eq!(answer["error"]["code"], -32600, "{answer}");
    });
}

#[test]
fn unknown_methods_are_named() {
    for is_new in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let way = Way { is_new, http: None, palace: &dir.path().join("palace") };
        let first = way.done("palace_status", "{}");
        assert_eq!(first["total_drawers"], 0);
        let input = match is_new {
            false => initialize("2025-11-25") + "\n",
            true => format!(
                r#"{{"jsonrpc":"2.0","id":0,"method":"tools/list","params":{{{META}}}}}{}"#,
                "\n"
            ),
        };
        for params in [format!("{{{META}}}"), "[]".to_owned(), r#"{"x":1e400}"#.to_owned()] {
            let line =
                format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/guess","params":{params}}}"#);
            let all = answers(way.palace, format!("{input}{line}\n").as_bytes());
            let answer = by_id(&all, &json!(7));
            assert_eq!(answer["error"]["code"], -32601, "{answer}");
            assert!(answer["error"]["message"].as_str().unwrap().contains("tools/guess"));
        }
    }
}

#[test]
fn arguments_are_taken_as_models_send_them() {
    in_every_way(|way| {
        let item =
            r#"{"wing":"w","room":"r","content":"some text","source_file":"","added_by":""}"#;
        let id = way.done("palace_add_drawer", item)["drawer_id"].clone();
        for arguments in [
            r#"{"query":"text","wing":"","room":"","since":"","before":"","cursor":"","limit":"5"}"#,
            r#"{"query":"text","limit":5.0}"#,
        ] {
            let found = way.done("palace_search", arguments);
            assert_eq!(found["results"][0]["drawer_id"], id, "{found}");
            assert_eq!(found.get("notes"), None, "{found}");
        }
        let extra =
            r#"{"query":"text","limit":10000,"task_progress":"1/2","wait_for_previous":true}"#;
        let found = way.done("palace_search", extra);
        assert_eq!(found["results"][0]["drawer_id"], id);
        let notes = [
            "limit is 100 at most: that was taken in place of 10000",
            "not an argument of this tool, and ignored: task_progress and wait_for_previous",
        ];
        assert_eq!(found["notes"], json!(notes));
        let error = way.error("palace_search", r#"{"query":"text","since":"soon","x_y_z":1}"#);
        assert!(error.contains("2026-03-01") && error.contains("ignored: x_y_z"), "{error}");
        let error = way.error("palace_add_drawer", r#"{"wing":"w"}"#);
        assert!(error.contains("room and content are missing"), "{error}");
    });
}

#[test]
fn misspelt_conditions_never_make_a_write_unconditional() {
    in_every_way(|way| {
        let item = r#"{"wing":"w","room":"r","content":"before"}"#;
        let id = way.done("palace_add_drawer", item)["drawer_id"].as_str().unwrap().to_owned();
        for condition in [
            r#""ifMatch":"0123456789abcdef""#,
            r#""if-match":"0123456789abcdef""#,
            r#""if_math":"0123456789abcdef""#,
            r#""Base":"0123456789abcdef""#,
            r#""if_match":"""#,
            r#""base":"""#,
            r#""wing":"""#,
        ] {
            let change = format!(r#"{{"drawer_id":"{id}","content":"after",{condition}}}"#);
            let error = way.error("palace_update_drawer", &change);
            assert!(error.contains("Nothing was done"), "{condition}: {error}");
        }
        let found = way.done("palace_search", r#"{"query":"before"}"#);
        assert_eq!(found["results"][0]["text"], "before");
    });
}

#[test]
fn lines_of_any_kind_are_answered_and_end_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // A notice before the first request was the end of the session, and a message without an end got no answer.
    let notice = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let huge = format!(
        r#"{{"jsonrpc":"2.0","method":"tools/call","params":{{"x":"{}"}},"id":2}}"#,
        "a".repeat(17 << 20)
    );
    let ping = r#"{"jsonrpc":"2.0","id":3,"method":"ping"}"#;
    let ask =
        format!(r#"{{"jsonrpc":"2.0","id":4,"method":"server/discover","params":{{{META}}}}}"#);
    let first = initialize("2025-06-18");
    let lines = [notice, "no JSON", &ask, notice, &first, &huge, "", "{}", "\u{feff}{}", ping];
    let all = answers(&dir.path().join("palace"), lines.join("\n").as_bytes());
    assert_eq!(by_id(&all, &json!(2))["error"]["code"], -32600);
    assert!(by_id(&all, &json!(2))["error"]["message"].as_str().unwrap().contains("16777216"));
    assert_eq!(by_id(&all, &json!(3))["result"], json!({}));
    let mut unknown: Vec<&Value> =
        all.iter().filter(|it| it["id"].is_null()).map(|it| &it["error"]["code"]).collect();
    unknown.sort_by_key(|code| code.as_i64());
    assert_eq!((unknown, all.len()), (vec![&json!(-32700), &json!(-32600), &json!(-32600)], 7));
    assert!(all.iter().all(|it| it.as_object().unwrap().contains_key("id")), "null, not left out");
}

#[test]
fn http_bodies_that_are_no_requests_get_an_error_in_json() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("palace"), None);
    let code = |answer: &Answer| {
        assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
        let error: Value = serde_json::from_str(&answer.body).unwrap();
        assert!(error["id"].is_null() && error.as_object().unwrap().contains_key("id"));
        error["error"]["code"].as_i64().unwrap()
    };
    for (body, expected) in
        [("no JSON", -32700), ("{\"id\":1", -32700), ("5", -32600), ("[]", -32600)]
    {
        let answer = server.post(body, &[("MCP-Protocol-Version", NEW_ERA)]);
        assert_eq!((answer.status, code(&answer)), (400, expected), "{body}");
    }
    for method in ["tools/guess", "initialize", "resources/subscribe"] {
        let unknown =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{META}}}}}"#);
        let headers = [("MCP-Protocol-Version", NEW_ERA), ("Mcp-Method", method)];
        let answer = server.post(&unknown, &headers);
        assert!(answer.status == 404 && answer.body.contains("-32601"), "{method}: {answer:?}");
    }
    let huge = server.post(&"x".repeat(17 << 20), &[]);
    assert_eq!((huge.status, code(&huge)), (413, -32600));
}

#[test]
fn batches_are_answered_where_the_era_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let call = |id: i64| {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": "document_increment", "arguments": {"key": "n", "path": "/n"}}})
    };
    let notice = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let batch = json!([call(1), notice, call(2)]).to_string();
    let old = answers(&path, format!("{}\n{batch}\n", initialize("2025-03-26")).as_bytes());
    for id in [1, 2] {
        assert_eq!(by_id(&old, &json!(id))["result"]["structuredContent"]["durable"], true);
    }
    let new = answers(&path, format!("{}\n{batch}\n", initialize("2025-06-18")).as_bytes());
    for id in [1, 2] {
        let error = by_id(&new, &json!(id))["error"].clone();
        assert_eq!(error["code"], -32600);
        assert!(error["message"].as_str().unwrap().contains("2025-03-26"), "{error}");
    }

    let server = Server::start(&path, None);
    let session = session_with_batches(&server);
    let in_session = [("Mcp-Session-Id", &*session)];
    let answer = server.post(&batch, &in_session);
    let done = answer.messages().into_iter().filter(|it| it["result"].is_object());
    let ids: Vec<Value> = done.map(|it| it["id"].clone()).collect();
    assert_eq!(ids, [json!(1), json!(2)], "{answer:?}");
    let refused = [("MCP-Protocol-Version", "2025-06-18"), in_session[0]];
    let refused: Value = serde_json::from_str(&server.post(&batch, &refused).body).unwrap();
    assert_eq!(refused.as_array().unwrap().len(), 2, "{refused}");
    let shown =
        HttpClient::without_session(&server, "c").call("document_get", &json!({"key": "n"}));
    assert_eq!(shown["value"]["n"], 4, "what was refused was not done");
}

/// Opens a session of the version that has batches, and returns its id.
fn session_with_batches(server: &Server) -> String {
    let opened = server.post(&initialize("2025-03-26"), &[]);
    opened.header("mcp-session-id").unwrap().to_owned()
}

#[test]
fn each_message_of_a_batch_is_answered_whatever_the_others_are() {
    const CALL: &str = r#""method":"tools/call","params":{"name":"document_increment","arguments"#;
    const BAD: [&str; 8] = [
        r#"{"jsonrpc":"2.0","id":5,"method":5}"#,
        r#"{"jsonrpc":"2.0","id":6,"method":"tools/guess"}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"palace_search","arguments":{"query":1e400}}}"#,
        r#"{"jsonrpc":"2.0","id":8,"method":"subscriptions/listen","params":{"notifications":{}}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        "7",
        "[]",
        r#""\ud83d""#,
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let good =
        |id: u32| format!(r#"{{"jsonrpc":"2.0","id":{id},{CALL}":{{"key":"n","path":"/n"}}}}}}"#);
    let twice =
        format!(r#"{{"jsonrpc":"2.0","id":3,{CALL}":{{"key":"n","path":"/n","by":1,"by":2}}}}}}"#);
    let batch = format!("[{},{},{twice},{}]", good(1), BAD.join(","), good(2));
    let check = |all: &[Value]| {
        for id in [1, 2] {
            assert_eq!(by_id(all, &json!(id))["result"]["structuredContent"]["durable"], true);
        }
        assert_eq!(by_id(all, &json!(3))["result"]["isError"], true);
        for (id, code) in [(5, -32600), (6, -32601), (7, -32602)] {
            assert_eq!(by_id(all, &json!(id))["error"]["code"], code);
        }
        let unknown = all.iter().filter(|it| it["id"].is_null());
        assert!(unknown.clone().all(|it| it["error"]["code"] == -32600), "{all:#?}");
        assert_eq!(unknown.count(), 3, "{all:#?}");
    };
    let all = answers(&path, format!("{}\n{batch}\n", initialize("2025-03-26")).as_bytes());
    check(&all);

    let server = Server::start(&path, None);
    let session = session_with_batches(&server);
    let in_session = [("Mcp-Session-Id", &*session)];
    let answer = server.post(&batch, &in_session);
    let all = answer.messages();
    check(&all);
    assert_eq!(by_id(&all, &json!(8))["error"]["code"], -32600, "it would go on for ever");

    let none_good = server.post("[7,8]", &in_session);
    let errors: Vec<Value> = serde_json::from_str(&none_good.body).unwrap();
    assert_eq!((none_good.status, errors.len()), (400, 2), "{none_good:?}");
    let no_session = server.post(&format!("[7,{}]", good(1)), &[("Mcp-Session-Id", "none")]);
    assert_eq!(no_session.status, 404, "{no_session:?}");
    let shown =
        HttpClient::without_session(&server, "c").call("document_get", &json!({"key": "n"}));
    assert_eq!(shown["value"]["n"], 4);
}

/// What one answer is for would not be known, so the second of two requests with one id is refused while the first runs.
#[test]
fn requests_with_an_id_in_use_are_refused_and_not_carried_out() {
    let dir = tempfile::tempdir().unwrap();
    let palace = dir.path().join("palace");
    let call = |id: u32, name: &str, arguments: &str| {
        let params = format!(r#"{{"name":"{name}","arguments":{arguments}}}"#);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{params}}}"#)
    };
    let counted = r#"{"key":"k","path":"/n"}"#;
    let mut lines = vec![initialize("2025-06-18")];
    lines.push(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned());
    lines.extend((0..50).map(|_| call(7, "document_increment", counted)));
    let answers = answers(&palace, (lines.join("\n") + "\n").as_bytes());
    let of_calls: Vec<&Value> = answers.iter().filter(|answer| answer["id"] == 7).collect();
    assert_eq!(of_calls.len(), 50, "{answers:#?}");
    let (made, refused): (Vec<&Value>, Vec<&Value>) =
        of_calls.into_iter().partition(|answer| answer.get("result").is_some());
    for refusal in refused {
        let error = &refusal["error"];
        assert_eq!(error["code"], -32600, "{error}");
        assert!(error["message"].as_str().unwrap().contains("id"), "{error}");
    }
    let read = [initialize("2025-06-18"), call(1, "document_get", r#"{"key":"k"}"#), String::new()];
    let read = self::answers(&palace, read.join("\n").as_bytes());
    let stands = by_id(&read, &json!(1))["result"]["structuredContent"]["value"]["n"].clone();
    assert_eq!(stands, json!(made.len()));
}

/// Over HTTP the answer to one of them would go to the other, and the first would wait for ever.
#[test]
fn http_requests_with_an_id_in_use_are_all_answered() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("palace"), None);
    let client = HttpClient::with_session(&server, "c");
    let call = client.request("document_increment", &json!({"key": "k", "path": "/n"})).to_string();
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..40)
            .map(|_| scope.spawn(|| server.post(&call, &client.headers()).message()))
            .collect();
        all.into_iter().map(|answer| answer.join().unwrap()).collect()
    });
    let made = answers.iter().filter(|answer| answer["result"]["isError"] == false).count();
    for refused in answers.iter().filter(|answer| answer.get("result").is_none()) {
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(1), &json!(-32600)));
    }
    let stands = client.call("document_get", &json!({"key": "k"}));
    assert_eq!(stands["value"]["n"], json!(made));
}
