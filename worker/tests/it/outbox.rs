//! What goes out together once the consumer has returned.

use towpath_layer_core::{ChannelLayer, ChannelName, Content, Message, Reply};
use towpath_worker::{
    Error, Groups, Outbox, Result, Router, Session, Socket, Text, blocking, websocket,
};

use crate::stage::{Peer, Stage};

async fn stage_of(consumer: Router) -> (Stage, Peer) {
    let stage = Stage::new(consumer).await;
    let peer = stage.peer("/x");
    (stage, peer)
}

fn channel(name: &str) -> ChannelName {
    ChannelName::new(name).unwrap()
}

/// Everything that waits on a channel, as numbers.
async fn waiting(stage: &Stage, name: &str) -> Vec<u32> {
    let count = stage.pending(&channel(name)).await;
    let mut receiver = stage.layer.receiver(vec![channel(name)]).unwrap();
    let mut received = Vec::new();
    while received.len() < usize::try_from(count).unwrap() {
        receiver.receive_many(&mut received, 100).await.unwrap();
    }
    let numbers = received.into_iter().map(|one| match one.message {
        Message::Custom(content) => content.decode().unwrap(),
        other => panic!("no number but {other:?}"),
    });
    numbers.collect()
}

async fn gather(Text(text): Text, outbox: Outbox, groups: Groups, socket: Socket) -> Result {
    groups.add("all").await?;
    outbox.text("first")?;
    outbox.send("jobs.a", &1)?;
    outbox.send("jobs.b", &2)?;
    outbox.group_text("all", "second")?;
    outbox.send("jobs.a", &3)?;
    outbox.bytes("third")?;
    outbox.group_json("all", &[4])?;
    outbox.group_event("all", "fifth", &5)?;
    outbox.json(&6)?;
    outbox.close(4000, "seventh")?;
    socket.text("at once").await?;
    match &*text {
        "fail" => Err(Error::internal("on purpose")),
        "reject" => Err(Error::rejected("on purpose")),
        "retry" => Err(Error::retry()),
        "panic" => panic!("on purpose"),
        _ => Ok(()),
    }
}

#[tokio::test(start_paused = true)]
async fn an_outbox_goes_out_in_its_order_before_the_event_is_done() {
    let (stage, mut peer) = stage_of(Router::new().route("/x", websocket().receive(gather))).await;
    let turn = peer.text("well").await.done();
    let replies: Vec<Reply> = turn.replies.into_iter().collect();
    let event = replies[5].event.clone().unwrap();
    assert_eq!(
        (&*event.name, event.content.decode::<u32>().unwrap()),
        ("fifth", 5)
    );
    let expected = [
        Reply::text("at once"),
        Reply::text("first"),
        Reply::text("second"),
        Reply::bytes("third"),
        Reply::text("[4]"),
    ];
    assert_eq!(replies[..5], expected);
    assert_eq!(
        replies[6..8],
        [Reply::text("6"), Reply::close(4000, "seventh")]
    );
    assert_eq!(replies.len(), 9, "{replies:?}");
    assert_eq!(waiting(&stage, "jobs.a").await, [1, 3]);
    assert_eq!(waiting(&stage, "jobs.b").await, [2]);
}

#[tokio::test(start_paused = true)]
async fn nothing_of_an_outbox_goes_out_when_the_consumer_fails() {
    let (stage, mut peer) = stage_of(Router::new().route("/x", websocket().receive(gather))).await;
    for how in ["fail", "reject", "retry", "panic"] {
        let turn = peer.text(how).await;
        assert_eq!(turn.texts(), ["at once"], "{how}");
    }
    assert!(waiting(&stage, "jobs.a").await.is_empty());
    assert!(peer.is_silent());
}

#[tokio::test(start_paused = true)]
async fn a_full_channel_fails_the_event() {
    async fn order(Text(text): Text, outbox: Outbox, mut orders: Session<u32>) -> Result {
        *orders += 1;
        outbox.send("jobs.before", &1)?;
        outbox.text("before")?;
        outbox.send(&text, &2)?;
        outbox.group_text("nobody", "")?;
        outbox.send("jobs.after", &3)?;
        outbox.text("after")
    }
    let (stage, mut peer) = stage_of(Router::new().route("/x", websocket().receive(order))).await;
    stage.fill(&channel("jobs.full")).await;
    let turn = peer.text("jobs.full").await.failed();
    assert_eq!(turn.texts(), ["before"]);
    assert!(peer.session.is_empty());
    assert_eq!(waiting(&stage, "jobs.before").await, [1]);
    assert!(waiting(&stage, "jobs.after").await.is_empty());
    // A name that is not valid is found where it is written.
    let turn = peer.text("no name").await.failed();
    assert!(turn.texts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_outbox_is_bounded() {
    async fn many(Text(text): Text, outbox: Outbox) -> Result {
        for _ in 0..text.parse()? {
            outbox.text("x")?;
        }
        Ok(())
    }
    let (_stage, mut peer) = stage_of(Router::new().route("/x", websocket().receive(many))).await;
    assert_eq!(peer.text("1024").await.done().texts().len(), 1024);
    assert!(peer.text("1025").await.failed().texts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_outbox_at_connect_answers_the_handshake_in_its_order() {
    async fn connect(outbox: Outbox, groups: Groups) -> Result {
        groups.add("all").await?;
        outbox.group_text("all", "for all")?;
        outbox.text("for me")
    }
    async fn refuse(outbox: Outbox) -> Result {
        outbox.close(4000, "no")
    }
    let router = Router::new()
        .route("/x", websocket().connect(connect))
        .route("/refused", websocket().connect(refuse));
    let (stage, mut peer) = stage_of(router).await;
    let turn = peer.connect().await.done();
    assert_eq!(turn.texts(), ["for all", "for me"]);
    let turn = stage.peer("/refused").connect().await.done();
    assert!(!turn.accepted());
    assert_eq!(turn.closed(), Some((4000, "no".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn without_a_connection_there_is_nothing_to_write_to() {
    async fn job(outbox: Outbox) -> Result {
        let refused = outbox.text("x").unwrap_err().to_string();
        outbox.send("jobs.said", &refused.len())?;
        assert_eq!(refused, "what comes on jobs.run has no connection");
        Ok(())
    }
    let stage = Stage::new(Router::new().channel("jobs.run", job)).await;
    stage.send("jobs.run", &()).await;
    let mut receiver = stage.layer.receiver(vec![channel("jobs.said")]).unwrap();
    let mut received = Vec::new();
    let said = receiver.receive_many(&mut received, 1);
    tokio::time::timeout(crate::stage::PATIENCE, said)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(received[0].message, Content::encode(&40).unwrap().into());
}

#[tokio::test]
async fn a_blocking_consumer_has_an_outbox_too() {
    fn job(Text(text): Text, outbox: Outbox, socket: Socket) -> Result {
        socket.outbox().text("one")?;
        outbox.text(text)
    }
    let router = Router::new().route("/x", websocket().receive(blocking(job)));
    let (_stage, mut peer) = stage_of(router).await;
    assert_eq!(peer.text("two").await.done().texts(), ["one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn a_reply_to_another_connection_waits_as_well() {
    async fn tell(Text(to): Text, outbox: Outbox, socket: Socket) -> Result {
        let to = ChannelName::new(&*to)?;
        outbox.reply_to(&to, Reply::text("from next door"))?;
        socket.text("told").await
    }
    let (stage, mut peer) = stage_of(Router::new().route("/x", websocket().receive(tell))).await;
    let other = stage.peer("/x");
    assert_eq!(
        peer.text(other.channel.as_str()).await.done().text(),
        "told"
    );
    assert_eq!(other.reply().await, Reply::text("from next door"));
}
