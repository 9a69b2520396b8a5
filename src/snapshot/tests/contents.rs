//! Every read returns what was built.

use super::*;
use crate::format::sequences::Sequences;

fn keys(rows: &[ViewRow]) -> Vec<&str> {
    rows.iter().map(|row| row.key.as_str()).collect()
}

#[test]
fn every_row_comes_back_as_it_was() {
    let rows = rows(300);
    let log = [commit(1, 1), commit(1, 2), commit(9, 1)];
    let snapshot = snapshot(&rows, &log);
    assert_eq!(*snapshot.meta(), Meta { documents: 300, commits: 3, ..meta() });
    for row in &rows {
        assert_eq!(snapshot.get(row.key.as_str()).unwrap().as_ref(), Some(row));
        let view = snapshot.get_view(row.key.as_str()).unwrap().unwrap();
        assert_eq!((&view.key, &view.heads, &view.view), (&row.key, &row.heads, &row.view));
        assert_eq!(view.absorbed, row.absorbed);
        assert_eq!(view.incomplete, !row.waiting.is_empty());
        assert!(snapshot.contains(row.key.as_str()).unwrap());
    }
    assert_eq!(problems(&snapshot), [""; 0]);
}

#[test]
fn absent_keys_are_none_before_between_and_after() {
    let snapshot = snapshot(&rows(300), &[]);
    for missing in ["", "a", "drawer/", "drawer/0000\u{0}", "drawer/0150x", "drawer/9", "z", "é"] {
        assert_eq!(snapshot.get(missing).unwrap(), None, "{missing:?}");
        assert_eq!(snapshot.get_view(missing).unwrap(), None, "{missing:?}");
        assert!(!snapshot.contains(missing).unwrap(), "{missing:?}");
    }
}

#[test]
fn an_empty_snapshot_answers_everything_with_nothing() {
    let snapshot = snapshot(&[], &[]);
    assert_eq!(snapshot.get("a").unwrap(), None);
    assert!(snapshot.scan("", None, 10).unwrap().is_empty());
    assert!(snapshot.rows_after(None, 10).unwrap().is_empty());
    assert!(snapshot.matching(&Terms::default().whole("a")).unwrap().is_empty());
    assert!(snapshot.log_page(None, 10).unwrap().is_empty());
    assert!(snapshot.log_instances().unwrap().is_empty());
    assert_eq!(problems(&snapshot), [""; 0]);
}

#[test]
fn large_values_come_back() {
    let mut large = row("large", 5);
    large.document = (0..3_000_000u32).map(|n| n.wrapping_mul(n).to_le_bytes()[1]).collect();
    large.view = "ж".repeat(1_000_000);
    let rows = [large, row("small", 1)];
    let snapshot = snapshot(&rows, &[]);
    assert_eq!(snapshot.get("large").unwrap().as_ref(), Some(&rows[0]));
    assert_eq!(snapshot.rows_after(None, 10).unwrap(), [rows[0].clone()], "a chunk is bounded");
    assert_eq!(snapshot.rows_after(Some("large"), 10).unwrap(), [rows[1].clone()]);
}

#[test]
fn a_scan_is_in_byte_order_and_can_go_on() {
    let names = [
        "A",
        "a",
        "a/",
        "a/b",
        "a/b\u{7ff}",
        "a/b\u{10ffff}",
        "a/b\u{10ffff}x",
        "a0",
        "ä",
        "\u{10ffff}",
    ];
    let rows: Vec<Row> = names.iter().enumerate().map(|(n, name)| row(name, n)).collect();
    let snapshot = snapshot(&rows, &[]);
    for prefix in names.iter().copied().chain(["", "a/b\u{700}", "b", "\u{10ffff}\u{10ffff}"]) {
        let expected: Vec<&str> =
            names.iter().copied().filter(|name| name.starts_with(prefix)).collect();
        assert_eq!(keys(&snapshot.scan(prefix, None, 100).unwrap()), expected, "{prefix:?}");
        for after in names.iter().copied().chain(["", "a/a", "zz"]) {
            let expected: Vec<&str> =
                expected.iter().copied().filter(|name| *name > after).collect();
            let found = snapshot.scan(prefix, Some(after), 100).unwrap();
            assert_eq!(keys(&found), expected, "{prefix:?} after {after:?}");
            let found = snapshot.scan(prefix, Some(after), 2).unwrap();
            assert_eq!(keys(&found), expected[..expected.len().min(2)], "two of {prefix:?}");
        }
    }
    assert_eq!(snapshot.scan("a/b", None, 1).unwrap()[0].view, rows[3].view);
}

#[test]
fn compaction_reads_all_rows_in_chunks() {
    let rows = rows(95);
    let snapshot = snapshot(&rows, &[]);
    let mut read: Vec<Row> = Vec::new();
    loop {
        let after = read.last().map(|row| row.key.clone());
        let chunk = snapshot.rows_after(after.as_ref().map(Key::as_str), 10).unwrap();
        if chunk.is_empty() {
            break;
        }
        assert!(chunk.len() <= 10);
        read.extend(chunk);
    }
    assert_eq!(read, rows);
}

#[test]
fn keys_out_of_order_or_twice_are_refused() {
    let mut builder = Builder::in_memory(meta()).unwrap();
    builder.add(&row("b", 1), "").unwrap();
    for late in ["a", "b"] {
        let error = builder.add(&row(late, 1), "").unwrap_err();
        assert!(
            matches!(error, SnapshotError::Unordered { ref key, .. } if key == late),
            "{error}"
        );
    }
    builder.add(&row("b\u{1f600}", 2), "").unwrap();
    let snapshot = open(builder.finish_bytes().unwrap().1).unwrap();
    assert_eq!(keys(&snapshot.scan("", None, 9).unwrap()), ["b", "b\u{1f600}"]);
}

#[test]
fn the_log_pages_by_instance_and_across_all() {
    let mut log: Vec<LogRow> =
        [3, 1, 255, 0].iter().flat_map(|i| (1..=7).map(|n| commit(*i, n * n))).collect();
    let snapshot = snapshot(&[], &log);
    let three = InstanceId([3; 16]);
    assert_eq!(snapshot.log_after(three, 0, 3).unwrap(), log[..3]);
    assert_eq!(snapshot.log_after(three, 9, 100).unwrap(), log[3..7]);
    assert_eq!(snapshot.log_after(three, 10, 1).unwrap(), log[3..4]);
    assert!(snapshot.log_after(three, 49, 9).unwrap().is_empty());
    assert!(snapshot.log_after(three, u64::MAX, 9).unwrap().is_empty());
    assert!(snapshot.log_after(InstanceId([4; 16]), 0, 9).unwrap().is_empty());

    assert_eq!(snapshot.log_back_from(three, 48, 2).unwrap(), [log[5].clone(), log[4].clone()]);

    let mut squares = Sequences::default();
    (1..=7).for_each(|n| squares.insert(n * n));
    let logged: Vec<_> = [255, 3, 1, 0].map(|i| (InstanceId([i; 16]), squares.clone())).to_vec();
    let found = snapshot.log_instances().unwrap().iter();
    let found: Vec<_> = found.map(|one| (one.instance, one.sequences.clone())).collect();
    assert_eq!(found, logged);

    log.sort_by_key(|row| (row.instance, row.sequence));
    let (mut read, mut after) = (Vec::new(), None);
    loop {
        let page = snapshot.log_page(after, 5).unwrap();
        let Some(row) = page.last() else { break };
        after = Some((row.instance, row.sequence));
        read.extend(page);
    }
    assert_eq!(read, log);
}

#[test]
fn the_first_of_two_log_rows_with_one_number_stays() {
    let mut other = commit(1, 1);
    other.by = "somebody else".to_owned();
    let mut builder = Builder::in_memory(meta()).unwrap();
    fill(&mut builder, &[], &[commit(1, 1), other, commit(1, i64::MAX as u64)]);
    let error = builder.add_log(&commit(1, 1 << 63)).unwrap_err();
    assert!(matches!(error, SnapshotError::TooLarge { .. }), "{error}");
    let (meta, bytes) = builder.finish_bytes().unwrap();
    assert_eq!(meta.commits, 2);
    let log = open(bytes).unwrap().log_page(None, 9).unwrap();
    assert_eq!(log, [commit(1, 1), commit(1, i64::MAX as u64)]);
}

#[test]
fn snapshot_and_memory_find_the_same_documents() {
    let texts = [
        "The quick brown fox",
        "quick-witted FOXES",
        "東京都に住む",
        "東 京",
        "Ångström İstanbul",
        "re\u{301}sume\u{301} soft\u{ad}hyphen",
        "naïve AND OR NOT NEAR",
        "x\"y * ^z {text}: (a)",
        "हिन्दी भाषा",
        "ΟΔΟΣ οδός",
        "한국어 문서",
        "",
        "!!!",
        "word\u{0}zero",
        "٣٤٥ ⅷ ²",
    ];
    let mut builder = Builder::in_memory(meta()).unwrap();
    for (n, text) in texts.iter().enumerate() {
        builder.add(&row(&format!("{n:02}"), n), text).unwrap();
    }
    let snapshot = open(builder.finish_bytes().unwrap().1).unwrap();
    let queries = texts.iter().copied().chain([
        "fox",
        "FOX",
        "qu",
        "東",
        "京東",
        "istan",
        "ång",
        "resume",
        "softhyphen",
        "\" OR \"\"*",
        "text:fox",
        "fox*",
        "NOT fox",
        "οδος",
        "हिन्द",
        "국",
        "y' --",
        "a b c d",
        "zero",
        "٣",
    ]);
    let mut hits = 0;
    for query in queries {
        let both = [Terms::default().whole(query), Terms::default().prefix(query)];
        for terms in both.into_iter().chain([Terms::default().whole("the").prefix(query)]) {
            let expected: Vec<Key> = (0..texts.len())
                .filter(|n| terms.accept(&words(texts[*n])))
                .map(|n| key(&format!("{n:02}")))
                .collect();
            hits += expected.len();
            assert_eq!(snapshot.matching(&terms).unwrap(), expected, "{terms:?}");
        }
    }
    assert!(hits > 40, "the queries hit too little to say anything: {hits}");
}

#[test]
fn search_with_very_many_terms_works() {
    let many: Vec<String> = (0..5000).map(|n| format!("t{n}")).collect();
    let (all, most) = (many.join(" "), many[1..].join(" "));
    let mut builder = Builder::in_memory(meta()).unwrap();
    builder.add(&row("all", 1), &all).unwrap();
    builder.add(&row("most", 1), &most).unwrap();
    let snapshot = open(builder.finish_bytes().unwrap().1).unwrap();
    assert_eq!(snapshot.matching(&Terms::default().whole(&all)).unwrap(), [key("all")]);
}

/// Any character, next to a letter and alone: FTS5 has to split where the tokenizer splits.
#[test]
fn fts5_splits_words_exactly_like_the_tokenizer() {
    let characters: Vec<char> = ('\u{0}'..=char::MAX).filter(|c| c.is_alphanumeric()).collect();
    let mut builder = Builder::in_memory(meta()).unwrap();
    let chunks: Vec<&[char]> = characters.chunks(400).collect();
    let text_of = |chunk: &[char]| -> String {
        chunk.iter().flat_map(|c| [*c, ' ', 'q', *c, 'q', ' ']).collect()
    };
    for (n, chunk) in chunks.iter().enumerate() {
        builder.add(&row(&format!("{n:04}"), 0), &text_of(chunk)).unwrap();
    }
    let snapshot = open(builder.finish_bytes().unwrap().1).unwrap();
    for (n, chunk) in chunks.iter().enumerate() {
        for word in words(&text_of(chunk)).iter().step_by(23) {
            let found = snapshot.matching(&Terms::default().whole(word)).unwrap();
            assert!(found.contains(&key(&format!("{n:04}"))), "{word:?} is not found");
        }
    }
    assert_eq!(index_terms(&snapshot), all_words(&chunks, text_of));
}

fn all_words(chunks: &[&[char]], text_of: impl Fn(&[char]) -> String) -> Vec<String> {
    let mut all: Vec<String> = chunks.iter().flat_map(|chunk| words(&text_of(chunk))).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Reads the words that FTS5 has, by its own means.
fn index_terms(snapshot: &Snapshot) -> Vec<String> {
    let connection = snapshot.connection();
    connection.execute_batch("PRAGMA query_only=OFF").unwrap();
    connection
        .execute_batch("CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, words, row)")
        .unwrap();
    let mut statement = connection.prepare("SELECT term FROM temp.terms ORDER BY term").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn threads_share_a_snapshot() {
    let rows = rows(200);
    let snapshot = snapshot(&rows, &[]);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (rows, snapshot) = (&rows, &snapshot);
            scope.spawn(move || {
                for n in 0..400 {
                    let row = &rows[(n * 31 + thread * 17) % rows.len()];
                    assert_eq!(snapshot.get(row.key.as_str()).unwrap().as_ref(), Some(row));
                    let from = n % 190;
                    let after = rows[from].key.as_str();
                    let found = snapshot.scan("drawer/", Some(after), 3).unwrap();
                    assert_eq!(found[0].view, rows[from + 1].view);
                }
            });
        }
    });
}
