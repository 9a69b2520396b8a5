use super::*;

#[test]
fn words_are_runs_of_letters_and_digits_in_lower_case() {
    assert_eq!(words("Hello, wörld_2 — A1b2!"), ["hello", "wörld", "2", "a1b2"]);
    assert_eq!(words(" \t\n…"), Vec::<String>::new());
    assert_eq!(words("ΟΔΟΣ οδος"), ["οδοσ", "οδοσ"]);
    assert_eq!(words("İstanbul"), ["istanbul"]);
}

#[test]
fn scripts_without_spaces_give_a_word_a_character() {
    assert_eq!(words("東京2040カナ한글ok"), ["東", "京", "2040", "カ", "ナ", "한", "글", "ok"]);
}

#[test]
fn accents_and_joiners_do_not_cut_a_word() {
    assert_eq!(
        words("re\u{301}sume\u{301} co\u{ad}operate zero\u{200d}width"),
        ["resume", "cooperate", "zerowidth"]
    );
}

#[test]
fn a_long_word_is_cut_after_64_characters() {
    let long = "é".repeat(200);
    assert_eq!(words(&long), ["é".repeat(64)]);
    assert!(Terms::default().whole(&long).accept(&words(&"é".repeat(100))));
}

#[test]
fn all_terms_must_match_and_only_the_last_as_prefix() {
    let there = words("the night watch");
    assert!(Terms::default().prefix("night wat").accept(&there));
    assert!(!Terms::default().prefix("nig watch").accept(&there));
    assert!(!Terms::default().whole("night").whole("day").accept(&there));
    let nothing = Terms::default().whole("…").prefix("");
    assert!(nothing.is_empty() && !nothing.accept(&there));
    // An empty prefix does not open the term before it.
    assert!(!Terms::default().whole("nig").prefix("!").accept(&there));
}

#[test]
fn query_syntax_in_a_search_is_plain_words() {
    let terms = Terms::default().whole("a\" OR b* NEAR(c)").prefix("d:e");
    assert_eq!(terms.to_match(), r#""a" AND "or" AND "b" AND "near" AND "c" AND "d" AND "e"*"#);
}
