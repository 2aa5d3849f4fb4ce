//! Rooms: groups as an application uses them.
//!
//! The cases of ExWsChannels, and what has their place here; that shards make
//! no difference is the layers' and the hub's to show.
//!
//! | there | here |
//! |---|---|
//! | join and leave, with and without metadata | [`a_member_joins_with_metadata_and_leaves`] |
//! | one user, three channels, the middle one is left | [`leaving_one_room_leaves_the_others`] |
//! | three users in one channel | [`three_members_leave_one_by_one`] |
//! | 1 000 users join and leave | [`a_thousand_members_join_and_leave`] |
//! | broadcast to 100 sockets, plain and framed before | [`whoever_is_there_hears_it`] |

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use towpath_layer_core::{GroupChange, GroupName, Reply};
use towpath_worker::{Groups, Payload, Prepared, Result, Router, Socket, Text, websocket};

use crate::stage::{Peer, Stage};

/// The groups as a connection has them, from outside.
fn groups_of(stage: &Stage, peer: &Peer) -> Groups {
    Groups::new(stage.layer.clone()).of_connection(peer.channel.clone())
}

async fn names(groups: &Groups) -> Vec<String> {
    let joined = groups.joined().await.unwrap();
    joined.iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn a_member_joins_with_metadata_and_leaves() {
    let stage = Stage::empty().await;
    let peer = stage.peer("/x");
    let groups = groups_of(&stage, &peer);
    let meta = async || {
        let all = groups.fold("room", Vec::new(), |mut all, member| {
            assert_eq!(member.channel, peer.channel);
            all.push(member.meta::<(u8, u8)>());
            ControlFlow::Continue(all)
        });
        all.await.unwrap()
    };
    assert!(!groups.contains("room").await.unwrap());
    groups.add("room").await.unwrap();
    assert!(groups.contains("room").await.unwrap());
    assert_eq!(
        (names(&groups).await, meta().await),
        (vec!["room".to_owned()], vec![None])
    );
    groups.add("room").await.unwrap();
    assert_eq!(groups.count("room").await.unwrap(), 1);
    groups.discard("room").await.unwrap();
    groups.discard("room").await.unwrap();
    assert!(!groups.contains("room").await.unwrap());
    assert!(meta().await.is_empty());
    groups.add_with("room", &(1_u8, 2_u8)).await.unwrap();
    assert_eq!(meta().await, [Some((1, 2))]);
    // Joining again says what is true now.
    groups.add_with("room", &(3_u8, 4_u8)).await.unwrap();
    assert_eq!(meta().await, [Some((3, 4))]);
}

#[tokio::test(start_paused = true)]
async fn leaving_one_room_leaves_the_others() {
    let stage = Stage::empty().await;
    let (peer, other) = (stage.peer("/x"), stage.peer("/x"));
    let groups = groups_of(&stage, &peer);
    for room in ["one", "two", "three"] {
        groups.add(room).await.unwrap();
    }
    groups_of(&stage, &other).add("two").await.unwrap();
    assert_eq!(names(&groups).await, ["one", "three", "two"]);
    groups.discard("two").await.unwrap();
    assert_eq!(names(&groups).await, ["one", "three"]);
    groups.leave_all().await.unwrap();
    assert!(names(&groups).await.is_empty());
    assert_eq!(groups.count("two").await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn three_members_leave_one_by_one() {
    let stage = Stage::empty().await;
    let peers: Vec<Peer> = (0..3).map(|_| stage.peer("/x")).collect();
    let groups: Vec<Groups> = peers.iter().map(|peer| groups_of(&stage, peer)).collect();
    for one in &groups {
        one.add("room").await.unwrap();
    }
    let members = async || {
        let mut inside = Vec::new();
        for one in &groups {
            inside.push(one.contains("room").await.unwrap());
        }
        inside
    };
    assert_eq!(members().await, [true, true, true]);
    groups[1].discard("room").await.unwrap();
    groups[1].discard("room").await.unwrap();
    assert_eq!(members().await, [true, false, true]);
    for one in &groups {
        one.discard("room").await.unwrap();
    }
    assert_eq!(members().await, [false, false, false]);
    assert_eq!(groups[0].count("room").await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_members_join_and_leave() {
    let stage = Stage::empty().await;
    let peers: Vec<Peer> = (0..1000).map(|_| stage.peer("/x")).collect();
    for (number, peer) in (1..).zip(&peers) {
        let groups = groups_of(&stage, peer);
        groups.add_with("room", &number).await.unwrap();
        assert!(groups.contains("room").await.unwrap());
        assert_eq!(groups.count("room").await.unwrap(), number);
    }
    let groups = Groups::new(stage.layer.clone());
    let all = groups.fold("room", BTreeSet::new(), |mut all, member| {
        all.insert(member.meta::<u64>().unwrap());
        ControlFlow::Continue(all)
    });
    assert_eq!(all.await.unwrap(), (1..=1000).collect());
    for (left, peer) in (0..1000).rev().zip(&peers) {
        let groups = groups_of(&stage, peer);
        groups.discard("room").await.unwrap();
        assert!(!groups.contains("room").await.unwrap());
        assert_eq!(groups.count("room").await.unwrap(), left);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_there_hears_it() {
    let stage = Stage::empty().await;
    let peers: Vec<Peer> = (0..100).map(|_| stage.peer("/x")).collect();
    let outside = Groups::new(stage.layer.clone());
    for (count, peer) in (1..).zip(&peers) {
        groups_of(&stage, peer).add("room").await.unwrap();
        outside.send_text("room", "plain").await.unwrap();
        for there in peers.iter().take(count) {
            assert_eq!(there.reply().await, Reply::text("plain"));
        }
    }
    let prepared = Prepared::text("prepared");
    for (index, peer) in peers.iter().enumerate() {
        // As its node does when a connection ends.
        stage.leave_all(peer).await;
        outside.send("room", &prepared).await.unwrap();
        for there in peers.iter().skip(index + 1) {
            assert_eq!(there.reply().await, Reply::text("prepared"));
        }
        assert!(peer.is_silent());
    }
    let delivery = outside.send("room", prepared).await.unwrap();
    assert_eq!((delivery.nodes, delivery.dropped), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_fold_stops_where_it_is_told() {
    let stage = Stage::empty().await;
    let peers: Vec<Peer> = (0..10).map(|_| stage.peer("/x")).collect();
    for peer in &peers {
        groups_of(&stage, peer).add("room").await.unwrap();
    }
    let groups = Groups::new(stage.layer.clone());
    let mut calls = 0;
    let seen = groups.fold("room", 0, |seen, _| {
        calls += 1;
        match seen + 1 {
            3 => ControlFlow::Break(3),
            seen => ControlFlow::Continue(seen),
        }
    });
    assert_eq!(seen.await.unwrap(), 3);
    assert_eq!(calls, 3);
    let none = groups.fold("empty", 7, |_, _| ControlFlow::Break(8));
    assert_eq!(none.await.unwrap(), 7);
    assert!(
        groups
            .fold("no name", 0, |_, _| ControlFlow::Break(1))
            .await
            .is_err()
    );
}

async fn visit(Text(text): Text, groups: Groups, socket: Socket) -> Result {
    match &*text {
        "join" => {
            groups.add("a").await?;
            groups.add("b").await?;
        }
        "leave" => groups.leave_all().await?,
        _ => {
            let joined = groups.joined().await?;
            let names: Vec<&str> = joined.iter().map(GroupName::as_str).collect();
            socket.json(&names).await?;
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_consumer_leaves_all_its_rooms_and_its_node_hears_of_it() {
    let stage = Stage::new(Router::new().route("/x", websocket().receive(visit))).await;
    let mut peer = stage.peer("/x");
    peer.text("join").await.done();
    assert_eq!(peer.text("?").await.done().text(), r#"["a","b"]"#);
    let turn = peer.text("leave").await.done();
    let left = ["a", "b"].map(|name| GroupChange::discard(GroupName::new(name).unwrap()));
    assert_eq!(turn.completion.groups, left);
    assert_eq!(peer.text("?").await.done().text(), "[]");
}

#[tokio::test(start_paused = true)]
async fn another_connection_is_moved_without_a_word_in_the_own_completion() {
    async fn invite(Text(guest): Text, groups: Groups) -> Result {
        let guest = towpath_layer_core::ChannelName::new(&*guest)?;
        groups.of_connection(guest).add("room").await
    }
    let stage = Stage::new(Router::new().route("/x", websocket().receive(invite))).await;
    let (mut host, guest) = (stage.peer("/x"), stage.peer("/x"));
    let turn = host.text(guest.channel.as_str()).await.done();
    assert!(turn.completion.groups.is_empty());
    assert!(groups_of(&stage, &guest).contains("room").await.unwrap());
    let own = host.channel.clone();
    let turn = host.text(own.as_str()).await.done();
    assert_eq!(turn.completion.groups.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn outside_of_a_consumer_a_connection_has_to_be_named() {
    let stage = Stage::empty().await;
    let groups = Groups::new(stage.layer.clone());
    let failed = groups.add("room").await.unwrap_err().to_string();
    assert_eq!(
        failed,
        "no connection is known: name one with of_connection"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_prepared_goes_everywhere() {
    async fn hear(Payload(word): Payload<String>, socket: Socket) -> Result {
        socket.reply(Prepared::json(&[word])?).await
    }
    let stage = Stage::new(Router::new().route("/x", websocket().on("word", hear))).await;
    let mut peer = stage.peer("/x");
    groups_of(&stage, &peer).add("room").await.unwrap();
    let groups = Groups::new(stage.layer.clone());
    let bytes = Prepared::bytes("b");
    assert_eq!(Reply::from(&bytes), Reply::bytes("b"));
    groups.send("room", &bytes).await.unwrap();
    groups.send("room", bytes.clone()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(peer.reply().await, Reply::bytes("b"));
    }
    let event = Prepared::event("word", "hi").unwrap();
    groups.send("room", &event).await.unwrap();
    let event = peer.reply().await.event.unwrap();
    let turn = peer
        .application(&event.name, &event.content.decode::<String>().unwrap())
        .await;
    assert_eq!(turn.done().text(), r#"["hi"]"#);
}
