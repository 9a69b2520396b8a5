//! One message of the protocol, before rmcp gets it: what can be repaired is, and what rmcp would drop is answered.
//!
//! rmcp decides whether it can read a message. Only if it cannot, this file finds out whom to answer, and why.
//! Invariants: a request with an id is handed on or answered, never both; a notification and a response are never
//! answered; nothing is parsed that would take much more memory than its bytes. Must not know: whether the message came
//! on a line or over HTTP.

use super::envelope::Envelope;
use super::json_parts::{field, parts};
use super::json_values::values_in;
use super::noticed::Noticed;
use crate::mcp::page::{echoed, shortened};
use crate::memory::{repeated, replace_lone_surrogates, unkept};
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, ErrorCode, ErrorData, NumberOrString};
use serde::de::IgnoredAny;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// Most bytes of a message: of a line on standard input, or of the body of a request over HTTP.
pub(super) const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Most values in a message: items, fields and what is in them. Parsed, a value takes a hundred times the memory of its
/// two bytes in `[0,0,…]`.
const VALUES_MAX: usize = 500_000;
/// Most bytes of an `initialize`, which is kept as long as its session.
const INITIALIZE_BYTES_MAX: usize = 64 << 10;

/// The methods of requests that this server answers. If rmcp knows no request for one of them, its params are wrong.
const METHODS: [&str; 12] = [
    "initialize",
    "ping",
    "server/discover",
    "completion/complete",
    "tools/call",
    "tools/list",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "subscriptions/listen",
];

/// The mark that some programs put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// Most characters of an id that an error repeats.
const ID_CHARS: usize = 80;

/// The answer to a message that rmcp cannot read. rmcp's own type has no id of null, which JSON-RPC demands for a message
/// whose id is not known.
#[derive(Debug)]
pub(super) struct Refusal {
    pub id: Option<NumberOrString>,
    pub error: ErrorData,
}

impl Refusal {
    pub fn new(id: Option<NumberOrString>, error: ErrorData) -> Self {
        Refusal { id, error }
    }
}

impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json!({"jsonrpc": "2.0", "id": self.id, "error": self.error}).serialize(serializer)
    }
}

/// The outcome of the check of a message.
#[derive(Debug)]
pub(super) enum Checked {
    /// rmcp can read it.
    Readable(Box<ClientJsonRpcMessage>, Noticed),
    /// Errors to answer with: one, or one for each message of a batch. None, if the client waits for no answer.
    Answered(Vec<Refusal>),
    /// The messages of a batch.
    Batch(Vec<Vec<u8>>),
}

/// Checks a message, and repairs it in place. `batches` says whether the client's era knows batches.
pub(super) fn check(message: &mut [u8], batches: bool) -> Checked {
    let is_batch = inside(message).first() == Some(&b'[');
    // Those of a batch are replaced in each of its messages, whose answers say so.
    let halves = if is_batch { 0 } else { replace_lone_surrogates(message) };
    let text = inside(message);
    if values_in(text) > VALUES_MAX {
        return Checked::Answered(too_many_values(text).into_iter().collect());
    }
    if is_batch {
        return batch(text, batches);
    }
    match serde_json::from_slice::<ClientJsonRpcMessage>(text) {
        Ok(message) if is_too_long_for_a_session(&message, text) => {
            let words = format!("an initialize has at most {INITIALIZE_BYTES_MAX} bytes");
            let id = Envelope::read(text).0.id.as_ref().and_then(usable_id);
            Checked::Answered(vec![invalid(id, words)])
        }
        Ok(message) if !has_wrong_params(&message) => match field_sent_twice(&message, text) {
            Some(refusal) => Checked::Answered(vec![refusal]),
            None => {
                let unkept = arguments(&message, text).map(unkept).unwrap_or_default();
                Checked::Readable(Box::new(message), Noticed { halves, unkept })
            }
        },
        _ => Checked::Answered(refusal(text).into_iter().collect()),
    }
}

/// Returns a message without what may stand around it.
fn inside(message: &[u8]) -> &[u8] {
    let text = message.trim_ascii();
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).trim_ascii_start()
}

/// Returns the arguments of a call of a tool, as they were sent.
fn arguments<'t>(message: &ClientJsonRpcMessage, text: &'t [u8]) -> Option<&'t [u8]> {
    let ClientJsonRpcMessage::Request(request) = message else { return None };
    match request.request {
        ClientRequest::CallToolRequest(_) => field(field(text, "params")?, "arguments"),
        _ => None,
    }
}

/// Returns the answer to a request that has a field twice, of which the last one would be taken. Those of the arguments
/// are judged by their tool.
fn field_sent_twice(message: &ClientJsonRpcMessage, text: &[u8]) -> Option<Refusal> {
    let ClientJsonRpcMessage::Request(request) = message else { return None };
    let twice =
        repeated(text).into_iter().find(|it| !it.path.starts_with("params.arguments."))?.path;
    let words = format!("{twice} was sent twice: pass each field once");
    let error = match twice.starts_with("params.") {
        true => ErrorData::invalid_params(words, None),
        false => ErrorData::invalid_request(words, None),
    };
    Some(Refusal::new(Some(request.id.clone()), error))
}

/// Returns true if the message is a call that goes on as long as its client listens.
pub(super) fn goes_on(message: &ClientJsonRpcMessage) -> bool {
    matches!(message, ClientJsonRpcMessage::Request(request)
        if matches!(request.request, ClientRequest::SubscriptionsListenRequest(_)))
}

fn is_too_long_for_a_session(message: &ClientJsonRpcMessage, text: &[u8]) -> bool {
    text.len() > INITIALIZE_BYTES_MAX
        && matches!(message, ClientJsonRpcMessage::Request(request)
            if matches!(request.request, ClientRequest::InitializeRequest(_)))
}

/// Returns the answer to a message of too many values; `None` if nobody waits for one.
fn too_many_values(text: &[u8]) -> Option<Refusal> {
    let (envelope, read) = Envelope::read(text);
    let is_batch = text.first() == Some(&b'[');
    if read.is_ok() && envelope.id.is_none() && envelope.method.is_some() {
        return None;
    }
    let words = match is_batch {
        true => format!("the batch has more than {VALUES_MAX} values: send each message alone"),
        false => format!(
            "the message has more than {VALUES_MAX} values (items and fields): send less in one message"
        ),
    };
    Some(invalid(envelope.id.as_ref().and_then(usable_id), words))
}

/// Returns the answer to a message that is longer than [`MESSAGE_BYTES_MAX`]. `start` and `end` are parts of it.
pub(super) fn too_long(start: &[u8], end: &[u8]) -> Refusal {
    let words = format!(
        "the message is longer than {MESSAGE_BYTES_MAX} bytes, and was skipped: send less in one message"
    );
    let id = Envelope::read(start).0.id.or_else(|| id_at_end(end));
    invalid(id.as_ref().and_then(usable_id), words)
}

/// Returns the answer to a request whose id an earlier one has that is not answered yet, or was cancelled.
pub(super) fn in_use(id: NumberOrString) -> Refusal {
    let words = "a request with this id is not answered yet or was cancelled, so this one was not carried out: give \
                 each request an id of its own";
    invalid(Some(id), words)
}

/// Finds the id in the last fields of a message, of which nothing else is known.
fn id_at_end(end: &[u8]) -> Option<Value> {
    let at = memchr::memmem::rfind(end, br#""id":"#)?;
    // With a brace before it, it is an object only if the id is a field of the message itself.
    let fields = [b"{", end.get(at..)?.trim_ascii_end()].concat();
    let (envelope, read) = Envelope::read(&fields);
    read.ok().and(envelope.id)
}

/// Returns true if rmcp took a request of this server for one of an extension: its params are not as they should be.
fn has_wrong_params(message: &ClientJsonRpcMessage) -> bool {
    matches!(message, ClientJsonRpcMessage::Request(request)
        if matches!(&request.request, ClientRequest::CustomRequest(custom)
            if METHODS.contains(&custom.method.as_str())))
}

/// Takes a batch apart, or says why not. Its messages stay as they were sent.
fn batch(text: &[u8], batches: bool) -> Checked {
    if let Some(refusal) = not_utf8(text) {
        return Checked::Answered(vec![refusal]);
    }
    if let Err(error) = is_json(text) {
        return Checked::Answered(vec![not_json(error)]);
    }
    let messages = parts(text);
    if batches && !messages.is_empty() {
        return Checked::Batch(messages.into_iter().map(<[u8]>::to_vec).collect());
    }
    let words = match messages.is_empty() {
        true => "the batch is empty: send a message",
        false => "only protocol version 2025-03-26 has batches: send each message alone",
    };
    let envelopes = messages.into_iter().map(|message| Envelope::read(message).0);
    let requests = envelopes.filter(|envelope| envelope.method.is_some());
    let ids = requests.filter_map(|envelope| usable_id(&envelope.id?));
    let mut errors: Vec<Refusal> = ids.map(|id| invalid(Some(id), words)).collect();
    if errors.is_empty() {
        errors.push(invalid(None, words));
    }
    Checked::Answered(errors)
}

/// Returns the answer to a message that rmcp cannot read; `None` if nobody waits for one.
fn refusal(text: &[u8]) -> Option<Refusal> {
    if let Some(refusal) = not_utf8(text) {
        return Some(refusal);
    }
    let (envelope, read) = Envelope::read(text);
    if read.is_err()
        && let Err(error) = is_json(text)
    {
        return Some(not_json(error));
    }
    let Envelope { id, method, is_response, is_2_0, repeated } = envelope;
    let usable = id.as_ref().and_then(usable_id);
    let method = match method {
        None if is_response => return None,
        None => return Some(invalid(usable, "the message has no method, so it is no request")),
        Some(Value::String(method)) => method,
        Some(_) => return Some(invalid(usable, "the method must be a string")),
    };
    let id = id?;
    if usable.is_none() {
        let id = shortened(&id.to_string(), ID_CHARS);
        return Some(invalid(None, format!("the id {id} must be a string or a whole number")));
    }
    if is_response {
        return Some(invalid(usable, "the message has a method and also a result or an error"));
    }
    if let Some(field) = repeated {
        return Some(invalid(usable, format!("the message has {field} twice")));
    }
    if !is_2_0 {
        return Some(invalid(usable, "the message needs \"jsonrpc\": \"2.0\""));
    }
    let error = match METHODS.contains(&method.as_str()) {
        true => ErrorData::invalid_params(wrong_params(&method, text), None),
        false => no_method(&method),
    };
    Some(Refusal::new(usable, error))
}

/// The error for a method that this server does not have.
pub(super) fn no_method(method: &str) -> ErrorData {
    let words = format!(
        "there is no method {}. This server has {}; tools are called by tools/call",
        echoed(method),
        METHODS.join(", ")
    );
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, words, None)
}

/// Says what is wrong with the params of a method that this server has.
fn wrong_params(method: &str, text: &[u8]) -> String {
    let message: Value = match serde_json::from_slice(text) {
        Ok(message) => message,
        Err(error) => {
            return format!(
                "the params of {method} cannot be read: {error}. Numbers must fit a double (1.8e308), and values \
                 may be nested at most about 120 deep"
            );
        }
    };
    let Some(params) = message.get("params").filter(|params| !params.is_null()) else {
        return format!("{method} needs params");
    };
    let wrong = match params.as_object() {
        None => Some(("params", "an object")),
        Some(params) if method == "tools/call" => {
            let is_text = |name| params.get(name).is_some_and(Value::is_string);
            let is_object = |name| params.get(name).is_none_or(Value::is_object);
            match (is_text("name"), is_object("arguments")) {
                (false, _) => Some(("params.name", "the name of a tool")),
                (_, false) => {
                    Some(("params.arguments", "an object, with a field for each argument"))
                }
                _ => None,
            }
        }
        Some(_) => None,
    };
    match wrong {
        Some((field, right)) => format!("{field} of {method} must be {right}"),
        None => match repeated(text).first() {
            Some(twice) => format!("{} was sent twice: pass each field once", twice.path),
            None => format!("the params of {method} are not as the protocol has them"),
        },
    }
}

/// # Errors
/// The reason, if the text is no JSON. Numbers may be of any size, and values nested to any depth.
fn is_json(text: &[u8]) -> serde_json::Result<()> {
    serde_json::from_slice(text).map(|IgnoredAny| ())
}

fn not_utf8(text: &[u8]) -> Option<Refusal> {
    let at = std::str::from_utf8(text).err()?.valid_up_to();
    let words = format!("the message is not UTF-8, which JSON is: see its byte {at}");
    Some(Refusal::new(None, ErrorData::parse_error(words, None)))
}

fn not_json(error: serde_json::Error) -> Refusal {
    let words = format!("the message is not JSON: {error}");
    Refusal::new(None, ErrorData::parse_error(words, None))
}

fn invalid(id: Option<NumberOrString>, words: impl Into<String>) -> Refusal {
    Refusal::new(id, ErrorData::invalid_request(words.into(), None))
}

/// The id as an answer can repeat it.
fn usable_id(id: &Value) -> Option<NumberOrString> {
    serde_json::from_value(id.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Unkept;

    /// The answers to a message, or `None` if it is handed on.
    fn answers(message: &str) -> Option<Vec<Value>> {
        match check(&mut message.as_bytes().to_vec(), false) {
            Checked::Answered(errors) => {
                Some(errors.iter().map(|error| serde_json::to_value(error).unwrap()).collect())
            }
            Checked::Readable(..) => None,
            Checked::Batch(_) => panic!("a batch"),
        }
    }

    /// The id and the code of the one answer, and its words.
    fn answer(message: &str) -> (Value, i64, String) {
        let answers = answers(message).unwrap_or_else(|| panic!("handed on: {message}"));
        let [answer] = &answers[..] else { panic!("{message}: {answers:?}") };
        assert_eq!(answer["jsonrpc"], "2.0");
        assert!(answer.as_object().unwrap().contains_key("id"), "{answer}");
        let error = &answer["error"];
        (answer["id"].clone(), error["code"].as_i64().unwrap(), error["message"].to_string())
    }

    fn call(params: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{params}}}"#)
    }

    #[test]
    fn wrong_params_of_known_methods_are_named() {
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        for (params, words) in [
            ("[]", "params of tools/call must be an object"),
            ("null", "tools/call needs params"),
            ("{}", "params.name of tools/call"),
            (r#"{"name":"t","arguments":[]}"#, "params.arguments of tools/call must be an object"),
            (r#"{"name":"t","arguments":"x"}"#, "params.arguments of tools/call must be an object"),
            (r#"{"name":"t","_meta":5}"#, "not as the protocol has them"),
            (r#"{"name":"t","arguments":{"query":1e400}}"#, "must fit a double"),
            (&format!(r#"{{"name":"t","arguments":{{"x":{deep}}}}}"#), "nested at most"),
        ] {
            let (id, code, said) = answer(&call(params));
            assert_eq!((id, code), (json!("a"), -32602), "{said}");
            assert!(said.contains(words), "{said}");
        }
        let ping = r#"{"jsonrpc":"2.0","id":3,"method":"ping","params":[]}"#;
        assert_eq!((answer(ping).0, answer(ping).1), (json!(3), -32602));
        let none = r#"{"jsonrpc":"2.0","id":3,"method":"none","params":{"x":1e400}}"#;
        let (id, code, said) = answer(none);
        assert_eq!((id, code), (json!(3), -32601));
        assert!(said.contains("no method none. This server has initialize, ping"), "{said}");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_told() {
        let mut message =
            br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"?"}}"#.to_vec();
        let at = message.iter().position(|byte| *byte == b'?').unwrap();
        message[at] = 0xff;
        let Checked::Answered(refusals) = check(&mut message, false) else { panic!("it was read") };
        let refusal = serde_json::to_value(&refusals[0]).unwrap();
        assert_eq!((&refusal["id"], &refusal["error"]["code"]), (&Value::Null, &json!(-32700)));
        let words = refusal["error"]["message"].as_str().unwrap();
        assert!(words.contains(&format!("not UTF-8, which JSON is: see its byte {at}")), "{words}");
    }

    #[test]
    fn messages_that_are_no_requests_are_answered_by_their_id() {
        for (message, id, code) in [
            ("no JSON", json!(null), -32700),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping""#, json!(null), -32700),
            ("5", json!(null), -32600),
            ("{}", json!(null), -32600),
            (r#"{"jsonrpc":"2.0","id":7}"#, json!(7), -32600),
            (r#"{"id":7,"jsonrpc":"2.0","method":5}"#, json!(7), -32600),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, json!(null), -32600),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, json!(null), -32600),
            (r#"{"jsonrpc":"2.0","id":1e400,"method":"ping"}"#, json!(null), -32600),
            (r#"{"jsonrpc":"1.0","id":8,"method":"ping"}"#, json!(8), -32600),
            (r#"{"id":8,"method":"ping"}"#, json!(8), -32600),
            (r#"{"jsonrpc":"2.0","id":8,"method":"ping","method":"ping"}"#, json!(8), -32600),
            (r#"{"jsonrpc":"2.0","id":8,"method":"ping","result":{}}"#, json!(8), -32600),
        ] {
            let (given, found, words) = answer(message);
            assert_eq!((given, found), (id, code), "{message}: {words}");
        }
    }

    #[test]
    fn readable_messages_are_handed_on_with_halves_replaced() {
        let half = call(r#"{"name":"t","arguments":{"content":"half \ud83d"}}"#);
        let Checked::Readable(message, noticed) = check(&mut half.into_bytes(), false) else {
            panic!("not handed on")
        };
        assert_eq!((noticed.halves, noticed.unkept), (1, Unkept::default()));
        let message = serde_json::to_value(message).unwrap();
        assert_eq!(message["params"]["arguments"]["content"], "half \u{fffd}");
        for message in [
            "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
            r#"{"jsonrpc":"2.0","id":1,"method":"unknown","params":{"x":1}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        ] {
            assert_eq!(answers(message), None, "{message}");
        }
    }

    #[test]
    fn messages_of_too_many_values_are_answered_unparsed() {
        let many = |count: usize| format!("[{}0]", "0,".repeat(count));
        let (id, code, words) =
            answer(&call(&format!(r#"{{"name":"t","x":{}}}"#, many(VALUES_MAX))));
        assert_eq!((id, code), (json!("a"), -32600), "{words}");
        assert!(words.contains("more than 500000 values"), "{words}");
        assert_eq!(
            answers(&call(&format!(r#"{{"name":"t","x":{}}}"#, many(VALUES_MAX - 100)))),
            None
        );
        assert_eq!(
            (answer(&many(VALUES_MAX)).0, answer(&many(VALUES_MAX)).1),
            (json!(null), -32600)
        );
        let id = format!(r#"{{"jsonrpc":"2.0","id":{},"method":"ping"}}"#, many(VALUES_MAX));
        assert_eq!((answer(&id).0, answer(&id).1), (json!(null), -32600));
        let notice = format!(r#"{{"jsonrpc":"2.0","method":"n","params":{}}}"#, many(VALUES_MAX));
        assert_eq!(answers(&notice), Some(Vec::new()));
    }

    #[test]
    fn an_initialize_that_a_session_would_keep_is_bounded() {
        let initialize = |name: usize| {
            let client = json!({"name": "n".repeat(name), "version": "1"});
            let params =
                json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
            json!({"jsonrpc": "2.0", "id": 5, "method": "initialize", "params": params}).to_string()
        };
        assert_eq!(answers(&initialize(1_000)), None);
        let (id, code, words) = answer(&initialize(INITIALIZE_BYTES_MAX));
        assert_eq!((id, code), (json!(5), -32600), "{words}");
    }

    #[test]
    fn notifications_and_responses_are_never_answered() {
        for message in [
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"x":1e400}}"#,
            r#"{"jsonrpc":"1.0","method":"notifications/initialized"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"x":1e400}}"#,
            r#"{"id":1,"error":5}"#,
        ] {
            assert_eq!(answers(message), Some(Vec::new()), "{message}");
        }
    }

    #[test]
    fn batches_are_taken_apart_where_the_era_has_them() {
        let batch =
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"n"},5]"#;
        let Checked::Batch(parts) = check(&mut batch.as_bytes().to_vec(), true) else {
            panic!("no batch")
        };
        assert_eq!((parts.len(), &parts[2][..]), (3, &b"5"[..]));
        assert_eq!((answer(batch).0, answer(batch).1), (json!(1), -32600));
        for (batch, code) in [("[]", -32600), ("[1e400]", -32600), ("[1,", -32700)] {
            assert_eq!((answer(batch).0, answer(batch).1), (json!(null), code), "{batch}");
        }
    }

    #[test]
    fn too_long_messages_are_answered_by_an_id_at_either_end() {
        let id = |start: &str, end: &str| {
            serde_json::to_value(too_long(start.as_bytes(), end.as_bytes())).unwrap()["id"].clone()
        };
        assert_eq!(id(r#"{"jsonrpc":"2.0","id":7,"params":{"x":"aaa"#, "aaa\"}}"), 7);
        assert_eq!(id(r#"{"params":{"id":7,"x":"aaa"#, r#"aaa"},"id":"b","jsonrpc":"2.0"}"#), "b");
        assert_eq!(id(r#"{"params":{"x":"aaa"#, r#"aaa","id":7}}"#), Value::Null);
        assert_eq!(id(r#"{"params":{"x":"aaa"#, r#"aaa\"id\":7}"#), Value::Null);
    }
}
