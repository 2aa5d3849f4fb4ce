//! Several operations in one request.

use serde_json::json;
use towpath_interface_server::ApiLimits;
use towpath_layer_core::{GlobTable, Limits};

use super::outsider::Outside;

#[tokio::test]
async fn each_operation_has_its_own_result_in_order() {
    let limits = Limits {
        capacity: GlobTable::new(2),
        ..Limits::default()
    };
    let outside = Outside::start_with(limits, ApiLimits::default()).await;
    let send = |content: u8| json!({"send": {"channel": "jobs.run", "content": content}});
    let operations = json!([
        send(1),
        send(2),
        send(3),
        {"send": {"channel": "jobs.run", "text": "to nobody"}},
        {"group_send": {"group": "nobody", "text": "hi"}},
        {"group_send": {"group": "nobody"}},
        {"send": {"channel": "jobs.other", "content": 4, "delay": 60}},
    ]);
    let answer = outside
        .done("/v1/batch", &json!({ "operations": operations }))
        .await;
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 7, "{answer}");
    assert_eq!(results[0], json!({"done": {}}));
    assert_eq!(results[1], json!({"done": {}}));
    assert_eq!(results[2]["problem"]["status"], 429);
    assert_eq!(results[2]["problem"]["key"], "operations[2].send.channel");
    assert_eq!(results[3]["problem"]["key"], "operations[3].send.content");
    assert_eq!(results[4]["done"]["nodes"], 0);
    assert_eq!(
        results[5]["problem"]["key"],
        "operations[5].group_send.group"
    );
    assert!(results[6]["done"]["key"].is_string());

    let receive = json!({"channels": ["jobs.run"], "max": 10});
    let taken = outside.done("/v1/receive", &receive).await;
    let contents: Vec<_> = taken["messages"].as_array().unwrap().iter().collect();
    assert_eq!(contents.len(), 2);
    assert_eq!(
        (&contents[0]["content"], &contents[1]["content"]),
        (&json!(1), &json!(2))
    );
    outside.end().await;
}

#[tokio::test]
async fn a_batch_that_cannot_be_read_does_nothing() {
    let outside = Outside::start_with(
        Limits::default(),
        ApiLimits {
            batch_max: 2,
            ..ApiLimits::default()
        },
    )
    .await;
    let send = json!({"send": {"channel": "jobs.run", "content": 1}});
    let wrong = json!({"operations": [send, {"send": {"channel": "no name", "content": 1}}]});
    let problem = outside.refused("/v1/batch", &wrong).await;
    assert_eq!(problem["key"], "operations[1].send.channel", "{problem}");
    assert_eq!(problem["value"], "\"no name\"");
    let many = json!({"operations": [send, send, send]});
    let problem = outside.refused("/v1/batch", &many).await;
    assert_eq!(
        (&problem["status"], &problem["expected"]),
        (&json!(422), &json!("at most 2"))
    );
    let statistics = outside.read("/v1/statistics").await;
    assert_eq!(statistics["total"]["sent"], 0);
    outside.end().await;
}
