//! Groups.

use http::Method;
use http_body_util::Full;
use serde_json::{Value, json};
use towpath_layer_core::ChannelName;
use towpath_layer_core::{ChannelLayer, Content, LocalId};

use super::outsider::{Outside, group};

fn member(outside: &Outside, number: u64) -> String {
    ChannelName::reply(outside.layer.node(), LocalId(number)).to_string()
}

#[tokio::test]
async fn members_join_are_listed_and_leave() {
    let outside = Outside::start().await;
    let _told = outside.attach().await;
    let (ada, bob) = (member(&outside, 1), member(&outside, 2));
    let meta = json!({"name": "Ada"});
    for (channel, meta) in [(&ada, Some(&meta)), (&bob, None)] {
        let mut add = json!({"group": "room", "channel": channel});
        if let Some(meta) = meta {
            add["meta"] = meta.clone();
        }
        assert_eq!(outside.done("/v1/add", &add).await, json!({}));
    }
    assert_eq!(
        outside.read("/v1/groups/room").await,
        json!({"group": "room", "members": 2})
    );
    let listed = outside.read("/v1/groups/room/members").await;
    let members = listed["members"].as_array().unwrap();
    assert_eq!((members.len(), &listed["more"]), (2, &json!(false)));
    assert!(
        members.contains(&json!({"channel": ada, "meta": meta})),
        "{listed}"
    );
    assert!(members.contains(&json!({"channel": bob})), "{listed}");
    let path = format!("/v1/groups/room/members/{ada}");
    assert_eq!(outside.read(&path).await, json!({"member": true}));
    let discard = json!({"group": "room", "channel": ada});
    assert_eq!(outside.done("/v1/discard", &discard).await, json!({}));
    assert_eq!(outside.read(&path).await, json!({"member": false}));
    outside.done("/v1/discard", &json!({"channel": bob})).await;
    let groups = outside.read(&format!("/v1/channels/{bob}/groups")).await;
    assert_eq!(groups["groups"], json!([]));
    outside.end().await;
}

#[tokio::test]
async fn metadata_is_what_a_consumer_in_rust_would_see() {
    let outside = Outside::start().await;
    let _told = outside.attach().await;
    let ada = member(&outside, 1);
    let meta = json!({"name": "Ada", "age": 7});
    let add = json!({"group": "room", "channel": ada, "meta": meta});
    outside.done("/v1/add", &add).await;
    let room = group("room");
    let mut members = outside.layer.group_members(&room);
    let member = futures_util::StreamExt::next(&mut members)
        .await
        .unwrap()
        .unwrap();
    let decoded: Value = Content::from_encoded(member.meta).decode().unwrap();
    assert_eq!(decoded, meta);
    drop(members);
    let listed = outside.read("/v1/groups/room/members").await;
    assert_eq!(listed["members"][0]["meta"], meta);

    let channel = member.channel.clone();
    let other = bytes::Bytes::from_static(b"hello");
    outside
        .layer
        .group_add(&room, &channel, other)
        .await
        .unwrap();
    let listed = outside.read("/v1/groups/room/members").await;
    assert_eq!(listed["members"][0]["encoded"], "aGVsbG8=");
    outside.end().await;
}

#[tokio::test]
async fn a_list_is_bounded_and_its_lines_are_not() {
    let outside = Outside::start().await;
    let _told = outside.attach().await;
    for number in 0..7 {
        let add = json!({"group": "room", "channel": member(&outside, number)});
        outside.done("/v1/add", &add).await;
    }
    let page = outside.read("/v1/groups/room/members?limit=3").await;
    assert_eq!(page["members"].as_array().unwrap().len(), 3);
    assert_eq!(page["more"], true);
    let page = outside.read("/v1/groups/room/members?limit=7").await;
    assert_eq!(page["more"], false);
    let request = outside
        .request(&Method::GET, "/v1/groups/room/members?limit=3")
        .header("accept", "application/x-ndjson");
    let answer = outside.send(request.body(Full::default()).unwrap()).await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let lines = std::str::from_utf8(&answer.body).unwrap().lines();
    let members: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(members.len(), 7);
    assert!(members[0]["channel"].is_string());
    for limit in ["0", "1001", "-1", "many", "3&colour=red"] {
        let answer = outside
            .get(&format!("/v1/groups/room/members?limit={limit}"))
            .await;
        assert_eq!(answer.status, 422, "{limit}");
    }
    outside.end().await;
}

#[tokio::test]
async fn groups_are_listed_page_by_page() {
    let outside = Outside::start().await;
    let _told = outside.attach().await;
    for name in ["a", "b", "c"] {
        let add = json!({"group": name, "channel": member(&outside, 1)});
        outside.done("/v1/add", &add).await;
    }
    let first = outside.read("/v1/groups?limit=2").await;
    assert_eq!(first, json!({"groups": ["a", "b"], "more": true}));
    let second = outside.read("/v1/groups?limit=2&after=b").await;
    assert_eq!(second, json!({"groups": ["c"], "more": false}));
    outside.end().await;
}

#[tokio::test]
async fn only_reply_channels_are_members_and_metadata_is_small() {
    let outside = Outside::start().await;
    let _told = outside.attach().await;
    let add = json!({"group": "room", "channel": "jobs"});
    let problem = outside.refused("/v1/add", &add).await;
    assert_eq!(
        (&problem["status"], &problem["key"]),
        (&json!(422), &json!("channel"))
    );
    let add = json!({"group": "room", "channel": member(&outside, 1), "meta": "x".repeat(5000)});
    let problem = outside.refused("/v1/add", &add).await;
    assert_eq!(
        (&problem["status"], &problem["key"]),
        (&json!(413), &json!("meta"))
    );
    let nothing = outside
        .refused("/v1/group-send", &json!({"group": "room"}))
        .await;
    assert_eq!(nothing["status"], 422);
    let delivery = outside
        .done("/v1/group-send", &json!({"group": "nobody", "text": "hi"}))
        .await;
    assert_eq!(
        (&delivery["nodes"], &delivery["certain"]),
        (&json!(0), &json!(true))
    );
    outside.end().await;
}

#[tokio::test]
async fn statistics_tell_and_a_flush_empties() {
    let outside = Outside::start().await;
    outside
        .done("/v1/send", &json!({"channel": "jobs.run", "content": 1}))
        .await;
    let one = outside.read("/v1/channels/jobs.run/statistics").await;
    assert_eq!((&one["sent"], &one["pending"]), (&json!(1), &json!(1)));
    assert!(one["oldest_age_seconds"].is_number(), "{one}");
    let all = outside.read("/v1/statistics").await;
    assert_eq!(all["channels"]["jobs.run"]["sent"], 1);
    outside.done("/v1/flush", &json!(null)).await;
    let all = outside.read("/v1/statistics").await;
    assert_eq!(
        (&all["total"]["pending"], &all["channels"]),
        (&json!(0), &json!({}))
    );
    outside.end().await;
}
