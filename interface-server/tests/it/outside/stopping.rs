//! The end of the interface.

use serde_json::json;
use towpath_layer_core::ChannelLayer;

use super::outsider::{Outside, channel, content};
use crate::rig::within;

#[tokio::test]
async fn polls_end_at_once_and_take_nothing_along() {
    let outside = Outside::start().await;
    let body = json!({"channels": ["jobs.run"], "timeout": 60});
    let stopping = async {
        // Each is looked at after the poll, which was there before.
        for _ in 0..3 {
            outside.read("/v1/groups").await;
        }
        outside.stop.cancel();
    };
    let (answer, ()) = tokio::join!(outside.done("/v1/receive", &body), stopping);
    assert_eq!(answer, json!({"messages": []}));
    let layer = outside.layer.clone();
    within(outside.running).await.unwrap();
    let message = content(&json!(1)).into();
    layer.send(&channel("jobs.run"), message).await.unwrap();
    let mut receiver = layer.receiver(vec![channel("jobs.run")]).unwrap();
    let mut taken = Vec::new();
    assert_eq!(
        within(receiver.receive_many(&mut taken, 1)).await.unwrap(),
        1
    );
}

#[tokio::test]
async fn a_layer_that_is_closed_is_a_problem() {
    let outside = Outside::start().await;
    outside.node.close().await;
    let send = json!({"channel": "jobs.run", "content": 1});
    let receive = json!({"channels": ["jobs.run"]});
    let add = json!({"group": "room", "text": "hi"});
    for (path, body) in [
        ("/v1/send", send),
        ("/v1/receive", receive),
        ("/v1/group-send", add),
    ] {
        let problem = outside.refused(path, &body).await;
        assert_eq!(problem["status"], 503, "{problem}");
        assert_eq!(problem["type"], "urn:towpath:problem:stopping");
    }
    outside.end().await;
}
