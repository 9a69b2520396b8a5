//! Tests of facts and diaries in far time zones, each in a process of its own: the zone of a process is `$TZ`.

use super::*;
use crate::fs::sim::SimDisk;
use crate::memory::drawers::{DiaryEntry, Drawers};
use crate::palace::Options;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// Each zone, its rule for a machine that has no database of zones, and its offset on [`TODAY`].
const ZONES: [(&str, &str, &str); 3] = [
    ("Asia/Tokyo", "JST-9", "+09:00"),
    ("America/Los_Angeles", "PST8PDT,M3.2.0,M11.1.0", "-07:00"),
    ("Pacific/Kiritimati", "<+14>-14", "+14:00"),
];
const TODAY: Date = date(2026, 7, 15);
/// The variable that tells the child process its offset.
const OFFSET: &str = "CRDT_PALACE_TEST_OFFSET";

#[test]
fn today_is_the_local_day_in_every_zone() {
    for (name, rule, offset) in ZONES {
        let is_known = Path::new("/usr/share/zoneinfo").join(name).exists();
        let test = format!("{}::day_of_one_zone", module_path!().split_once("::").unwrap().1);
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", &test])
            .env("TZ", if is_known { name } else { rule })
            .env(OFFSET, offset)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{name}: {said}");
    }
}

#[test]
#[ignore = "runs as a child of another test, in the zone that it sets"]
fn day_of_one_zone() {
    let offset = std::env::var(OFFSET).unwrap();
    for (hour, minute) in [(0, 30), (23, 30)] {
        let now = TODAY.at(hour, minute, 0, 0).to_zoned(TimeZone::system()).unwrap();
        let disk = SimDisk::new(1);
        let open = |path| {
            let options = Options::default().fs(Arc::new(disk.process()));
            Facts::new(options.auto_compact(false).open(path).unwrap())
        };
        let facts = open("/p");
        disk.advance(now.timestamp().as_millisecond() - facts.palace.now_ms());
        assert_eq!(facts.now().to_string(), format!("2026-07-15T{hour:02}:{minute:02}:00{offset}"));
        dates_of_today(&facts);
        times_of_today(&open("/times"), &now.timestamp().to_string());
        diary_of_today(&facts, &offset);
    }
}

fn triple(object: &str) -> Triple {
    Triple::new("Ada", "works at", object).unwrap()
}

/// Returns the objects of the facts that hold at a time.
fn at(facts: &Facts, as_of: &str) -> Vec<String> {
    let page = facts.about(&FactQuery { as_of: Some(as_of), ..FactQuery::default() }).unwrap();
    page.facts.into_iter().map(|fact| fact.triple.object).collect()
}

const TODAY_TEXT: &str = "2026-07-15";

/// A fact of today's date, which is replaced, and whose successor is ended.
fn dates_of_today(facts: &Facts) {
    let now = || facts.now().to_string();
    let acme = facts.assert(&triple("Acme"), Some(TODAY_TEXT), None, None).unwrap().fact;
    facts.assert(&triple("Soon"), Some("2026-07-16"), None, None).unwrap();
    assert!(acme.holds(&facts.now()));
    assert_eq!(
        (at(facts, &now()), at(facts, TODAY_TEXT)),
        (vec!["Acme".into()], vec!["Acme".into()])
    );
    assert!(at(facts, "2026-07-14").is_empty());
    let stats = facts.stats().unwrap();
    assert_eq!((stats.current, stats.future), (1, 1));

    let (ended, bolt) = facts.replace(&triple("Acme"), "Bolt", None).unwrap();
    assert_eq!(ended.fact.valid_to.as_deref(), Some(TODAY_TEXT));
    assert_eq!(bolt.fact.valid_from.as_deref(), Some(TODAY_TEXT));
    assert_eq!(
        (at(facts, &now()), at(facts, TODAY_TEXT)),
        (vec!["Bolt".into()], vec!["Bolt".into()])
    );

    let ended = facts.end(&triple("Bolt"), None).unwrap();
    assert!(ended.changed && !facts.end(&triple("Bolt"), None).unwrap().changed);
    assert_eq!(ended.fact.valid_to.as_deref(), Some(TODAY_TEXT));
    assert_eq!(at(facts, TODAY_TEXT), ["Bolt"], "it held for the whole day");
    assert_eq!(at(facts, "2026-07-16"), ["Soon"]);
}

/// A fact that began at a time of today ends now, and one that began long ago ends with yesterday.
fn times_of_today(facts: &Facts, now: &str) {
    facts.assert(&triple("Acme"), Some("2024-01-01"), None, None).unwrap();
    facts.assert(&triple("Bolt"), Some(now), None, None).unwrap();
    assert_eq!(at(facts, TODAY_TEXT), ["Acme", "Bolt"]);
    let ended = facts.end(&triple("Acme"), None).unwrap();
    assert_eq!(ended.fact.valid_to.as_deref(), Some(TODAY_TEXT));
    assert_eq!(
        (at(facts, "2026-07-14"), at(facts, TODAY_TEXT)),
        (vec!["Acme".into()], vec!["Bolt".into()])
    );
    let ended = facts.end(&triple("Bolt"), None).unwrap();
    assert!(ended.changed && at(facts, &facts.now().to_string()).is_empty());
    assert_eq!(
        ended.fact.valid_to_offset.map(|offset| facts.now().to_string().ends_with(&offset)),
        Some(true)
    );
}

fn diary_of_today(facts: &Facts, offset: &str) {
    let drawers = Drawers::new(facts.palace.clone());
    let entry = DiaryEntry::new("Ada", "Wrote tests.", None, None).unwrap();
    let drawer = drawers.get(&drawers.write_diary(&entry).unwrap().id).unwrap();
    assert_eq!(drawer.filed_date().as_deref(), Some(TODAY_TEXT));
    assert_eq!(drawer.filed_offset.as_deref(), Some(offset));
    // The key stays in UTC, so that entries of all zones have one order.
    let utc = jiff::Timestamp::from_millisecond(drawer.filed_ms.unwrap()).unwrap();
    let (date, time) = (utc.strftime("%Y%m%d").to_string(), utc.strftime("_%H%M%S").to_string());
    assert!(drawer.id.contains(&format!("{date}{time}")), "{}", drawer.id);
    // An entry of an earlier version has no offset. Its date is that of UTC.
    let earlier = serde_json::json!({"wing": "w", "room": "diary", "content": "c", "agent": "Ada",
        "topic": "t", "filings": [{"at": 1_735_689_600_000_i64}]});
    let key = "drawer/w/diary/20250101_000000000000_000000000000";
    facts.palace.put(key, &earlier).unwrap();
    let drawer = drawers.read_diary("Ada", Some("w"), 1).unwrap().entries.remove(0);
    assert_eq!(drawer.filed_date().as_deref(), Some("2025-01-01"));
}
