//! Files of another system: whatever stands in them, all that can be taken over is, and once.

use super::input::Input;
use super::palace;
use crdt_palace::memory::Memory;

/// Lines that can be taken over, and some that cannot.
const LINES: [&str; 8] = [
    r#"{"type":"entity","name":"Ada","entityType":"person","observations":["counts"]}"#,
    r#"{"type":"entity","name":"Bob","entityType":"","observations":[]}"#,
    r#"{"type":"relation","from":"Ada","to":"Bob","relationType":"knows"}"#,
    r#"{"type":"relation","from":"Ada","to":"Nobody","relationType":"knows"}"#,
    r#"{"type":"entity","name":"é 日本","entityType":"t","observations":["a","a","b"],"more":[[{}]]}"#,
    r#"{"type":"entity","name":"","entityType":"t","observations":["x"]}"#,
    "not JSON",
    "",
];

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let text = match input.byte() % 2 {
        0 => input.0.to_vec(),
        _ => lines(&mut input),
    };
    let disk = palace::with("tmp", "left-behind", b"");
    let memory = Memory::new(palace::open(disk.process()));
    let first = memory.import(&text[..], &mut |_, _| {}).unwrap();
    let again = memory.import(&text[..], &mut |_, _| {}).unwrap();
    assert_eq!((again.entities, again.relations), (0, 0), "an import again changes nothing");
    assert_eq!(again.bad, first.bad);
    let mut exported = Vec::new();
    memory.export(&mut exported).unwrap();
    let copy = Memory::new(palace::open(palace::with("tmp", "left-behind", b"").process()));
    assert_eq!(copy.import(&exported[..], &mut |_, _| {}).unwrap().bad, []);
    let mut second = Vec::new();
    copy.export(&mut second).unwrap();
    assert_eq!(second, exported, "what is exported can be imported");
    palace::serves(&disk);
}

fn lines(input: &mut Input<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    while !input.is_empty() && text.len() < 1 << 16 {
        let mut line = LINES[input.below(LINES.len())].as_bytes().to_vec();
        if input.byte().is_multiple_of(4) {
            input.edit(&mut line);
        }
        text.extend_from_slice(&line);
        text.push(b'\n');
    }
    text
}
