//! Dates of filters, on servers in far time zones.

use crate::client::{Client, serve};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rmcp::model::{ClientCapabilities, ClientConfig, Implementation};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt};
use rmcp::transport::TokioChildProcess;
use serde_json::{Value, json};
use std::path::Path;

/// Zones, as rules: the machine may have no database of zones.
const ZONES: [&str; 4] = ["UTC0", "JST-9", "PST8PDT,M3.2.0,M11.1.0", "<+14>-14"];

async fn server_in(zone: &str, palace: &Path) -> Client {
    let mut command = tokio::process::Command::from(serve(palace, &[]));
    command.env("TZ", zone);
    let client = Implementation::new("zones", "1");
    let config = ClientConfig::new(ClientCapabilities::default(), client);
    let transport = TokioChildProcess::new(command).unwrap();
    let mode = ClientLifecycleMode::Initialize;
    Client(config.serve_with_lifecycle(transport, mode).await.unwrap())
}

async fn counts(client: &Client, since: Option<Date>, before: Option<Date>) -> [usize; 2] {
    let [since, before] = [since, before].map(|day| day.map(|day| day.to_string()));
    let filters = json!({"query": "lantern", "since": since, "before": before});
    let found = client.call("palace_search", filters).await.unwrap();
    let changes = match (since, before) {
        (Some(since), None) => {
            let since = json!({"since": since, "include_own": true});
            client.call("palace_changes_since", since).await.unwrap()
        }
        _ => json!({"changes": []}),
    };
    [&found["results"], &changes["changes"]].map(|it: &Value| it.as_array().unwrap().len())
}

#[tokio::test]
async fn dates_of_filters_are_days_where_the_server_runs() {
    for zone in ZONES {
        let local = TimeZone::posix(zone).unwrap();
        let today = || Timestamp::now().to_zoned(local.clone()).date();
        // Once more if a day ended meanwhile.
        loop {
            let dir = tempfile::tempdir().unwrap();
            let day = today();
            let client = server_in(zone, &dir.path().join("palace")).await;
            let drawer = json!({"wing": "w", "room": "r", "content": "a lantern"});
            client.call("palace_add_drawer", drawer).await.unwrap();
            let [yesterday, tomorrow] = [day.yesterday().unwrap(), day.tomorrow().unwrap()];
            let mut found = Vec::new();
            for (since, before) in [
                (Some(yesterday), None),
                (Some(day), None),
                (Some(tomorrow), None),
                (None, Some(day)),
                (None, Some(tomorrow)),
                (Some(day), Some(tomorrow)),
            ] {
                found.push(counts(&client, since, before).await);
            }
            client.close().await;
            if today() == day {
                assert_eq!(found, [[1, 1], [1, 1], [0, 0], [0, 0], [1, 0], [1, 0]], "{zone}");
                break;
            }
        }
    }
}
