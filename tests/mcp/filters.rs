//! A filter that names nothing says so and names the nearest: every tool that has one.

use crate::named_clients::{done, start};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Arguments that name a place, an agent or an entity.
const NAMES: [&str; 4] = ["wing", "room", "agent_name", "entity"];

/// Tools that file something in the place that they name, so that it need not be there.
const FILE: [&str; 3] = ["palace_add_drawer", "palace_update_drawer", "palace_diary_write"];

/// A call whose argument names nothing, and the name that it should have had.
fn misspelt() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    vec![
        ("palace_list_rooms", "wing", json!({"wing": "altas"}), "atlas"),
        ("palace_search", "wing", json!({"query": "text", "wing": "altas"}), "atlas"),
        ("palace_search", "room", json!({"query": "text", "room": "ath"}), "auth"),
        ("palace_list_drawers", "wing", json!({"wing": "altas"}), "atlas"),
        ("palace_list_drawers", "room", json!({"wing": "atlas", "room": "ath"}), "auth"),
        ("palace_move_drawers", "wing", json!({"wing": "altas", "to_wing": "x"}), "atlas"),
        ("palace_move_drawers", "room", json!({"room": "ath", "to_room": "x"}), "auth"),
        ("palace_rename_place", "wing", json!({"wing": "altas", "to": "x"}), "atlas"),
        ("palace_rename_place", "room", json!({"wing": "atlas", "room": "ath", "to": "x"}), "auth"),
        ("palace_diary_read", "wing", json!({"agent_name": "Scout", "wing": "altas"}), "atlas"),
        ("palace_diary_read", "agent_name", json!({"agent_name": "scuot"}), "Scout"),
        ("palace_kg_query", "entity", json!({"entity": "Adda"}), "Ada"),
        ("palace_kg_timeline", "entity", json!({"entity": "Adda"}), "Ada"),
    ]
}

#[tokio::test]
async fn every_filter_that_names_nothing_names_the_nearest() {
    let dir = tempfile::tempdir().unwrap();
    let client = start("ann", &dir.path().join("palace")).await;
    for (tool, _, call, _) in misspelt() {
        // Nothing is there yet, and that is said too.
        match client.call(tool, call).await {
            Ok(answer) => assert!(answer["note"].is_string(), "{tool}: {answer}"),
            Err(error) => assert!(error.contains("nothing was written"), "{tool}: {error}"),
        }
    }
    let drawer = json!({"wing": "atlas", "room": "auth", "content": "some text"});
    done(&client, "palace_add_drawer", drawer).await;
    let entry = json!({"agent_name": "Scout", "entry": "A day.", "wing": "diaries"});
    done(&client, "palace_diary_write", entry).await;
    let fact = json!({"subject": "Ada", "predicate": "works_at", "object": "Acme"});
    done(&client, "palace_kg_add", fact).await;

    let mut asked = BTreeSet::new();
    for (tool, argument, mut call, right) in misspelt() {
        let wrong = format!("{:?}", call[argument].as_str().unwrap());
        let said = match client.call(tool, call.clone()).await {
            Ok(answer) => {
                answer["note"].as_str().unwrap_or_else(|| panic!("{tool}: {answer}")).to_owned()
            }
            Err(error) => error,
        };
        assert!(said.contains(&wrong) && said.contains(&format!("{right:?}")), "{tool}: {said}");
        asked.insert((tool.to_owned(), argument));
        if tool == "palace_move_drawers" || tool == "palace_rename_place" {
            continue;
        }
        // The right name, in any spelling, needs no note.
        call[argument] = json!(right.to_uppercase());
        if tool == "palace_diary_read" {
            call["wing"] = json!("Diaries");
        }
        let answer = done(&client, tool, call).await;
        assert_eq!(answer.get("note"), None, "{tool}: {answer}");
    }

    let tools = client.0.list_all_tools().await.unwrap();
    for tool in tools.iter().filter(|tool| !FILE.contains(&tool.name.as_ref())) {
        let properties = tool.input_schema["properties"].as_object().unwrap();
        for argument in NAMES.into_iter().filter(|name| properties.contains_key(*name)) {
            assert!(
                asked.contains(&(tool.name.to_string(), argument)),
                "{}: {argument}",
                tool.name
            );
        }
    }
    client.close().await;
}
