//! What a consumer's author relies on, wherever the consumers run.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::site::Site;
use crate::chat::Socket;

pub async fn a_function_keeps_a_session_and_its_room(site: &Site) -> Result<()> {
    let mut ada = site.socket("/functions/blue?name=ada").await?;
    let mut bob = site.socket("/functions/blue?name=bob").await?;
    let mut eve = site.socket("/functions/red?name=eve").await?;
    for (number, text) in [(1, "hello"), (2, "again")] {
        ada.say(text).await?;
        for member in [&mut ada, &mut bob] {
            member.hears(&format!("ada {number}: {text}")).await?;
        }
    }
    ada.close().await?;
    bob.hears("ada left after 2").await?;
    eve.quiet().await
}

pub async fn a_broadcast_reaches_whoever_is_there(site: &Site) -> Result<()> {
    let mut present = Vec::new();
    for number in 0..100 {
        let mut new = site
            .socket(&format!("/functions/crowd?name=u{number}"))
            .await?;
        new.say("here").await?;
        present.push(new);
        for socket in &mut present {
            socket.hears(&format!("u{number} 1: here")).await?;
        }
    }
    for number in (1..100).rev() {
        let leaving = present.pop().context("nobody is left")?;
        leaving.close().await?;
        present[0].say("still here").await?;
        for socket in &mut present {
            let heard = [socket.next().await?, socket.next().await?];
            let left = Message::text(format!("u{number} left after 1"));
            let still = Message::text(format!("u0 {}: still here", 101 - number));
            ensure!(heard.contains(&left) && heard.contains(&still), "{heard:?}");
        }
    }
    Ok(())
}

pub async fn a_function_denies_a_handshake(site: &Site) -> Result<()> {
    let denied = site.refusal("/functions/blue?name=mallory").await?;
    ensure!(denied.contains("403"), "{denied}");
    let nameless = site.refusal("/functions/blue").await?;
    ensure!(nameless.contains("400"), "{nameless}");
    let unrouted = site.refusal("/nowhere").await?;
    ensure!(unrouted.contains("404"), "{unrouted}");
    Ok(())
}

pub async fn an_outbox_goes_out_whole_or_not_at_all(site: &Site) -> Result<()> {
    let mut socket = site.socket("/outbox/orders").await?;
    socket.say("2").await?;
    for text in ["thinking", "2", "ordered", "done"] {
        socket.hears(text).await?;
    }
    socket.say("3").await?;
    socket.hears("thinking").await?;
    let (code, reason) = socket.close_frame().await?;
    ensure!((code, &*reason) == (4000, "odd"), "{code} {reason}");
    Ok(())
}

pub async fn a_type_joins_its_groups_before_it_accepts(site: &Site) -> Result<()> {
    let mut ada = room(site, "blue").await?;
    let mut bob = room(site, "blue").await?;
    ada.say("count").await?;
    ada.hears("2").await?;
    bob.say("groups").await?;
    bob.hears(r#"["room.blue","rooms"]"#).await
}

pub async fn a_type_chooses_a_subprotocol(site: &Site) -> Result<()> {
    let (mut socket, chosen) = site.offering("/room/blue", "v1, v2").await?;
    ensure!(chosen.as_deref() == Some("v2"), "{chosen:?}");
    socket.hears("welcome").await
}

pub async fn a_type_refuses_a_handshake_with_a_status_or_a_code(site: &Site) -> Result<()> {
    let refused = site.refusal("/room/closed").await?;
    ensure!(refused.contains("403"), "{refused}");
    let mut elsewhere = site.socket("/room/elsewhere").await?;
    let (code, reason) = elsewhere.close_frame().await?;
    ensure!(
        (code, &*reason) == (4404, "gone elsewhere"),
        "{code} {reason}"
    );
    Ok(())
}

pub async fn the_fields_of_a_type_are_its_session(site: &Site) -> Result<()> {
    let mut ada = room(site, "blue").await?;
    let mut eve = room(site, "red").await?;
    for (number, text) in [(1, "one"), (2, "two")] {
        ada.say(text).await?;
        ada.hears(&format!("said {number}")).await?;
    }
    ada.say("heard").await?;
    ada.hears(r#"["one","two"]"#).await?;
    eve.say("heard").await?;
    eve.hears("[]").await
}

pub async fn an_event_to_a_group_runs_in_each_member(site: &Site) -> Result<()> {
    let mut ada = room(site, "blue").await?;
    ada.say("early").await?;
    ada.hears("said 1").await?;
    let mut bob = room(site, "blue").await?;
    ada.say("late").await?;
    ada.hears("said 2").await?;
    bob.hears("said 1").await?;
    bob.say("heard").await?;
    bob.hears(r#"["late"]"#).await
}

pub async fn a_membership_ends_when_it_is_left_and_with_the_connection(site: &Site) -> Result<()> {
    let mut ada = room(site, "blue").await?;
    let mut bob = room(site, "blue").await?;
    let eve = room(site, "blue").await?;
    bob.say("leave").await?;
    bob.say("groups").await?;
    bob.hears(r#"["rooms"]"#).await?;
    eve.close().await?;
    ada.hears("gone with 1000 after 0, 1 left").await?;
    ada.say("count").await?;
    ada.hears("1").await?;
    bob.quiet().await
}

pub async fn who_is_gone_is_in_no_group_when_its_disconnect_is_told(site: &Site) -> Result<()> {
    let mut ada = room(site, "blue").await?;
    for _ in 0..20 {
        room(site, "blue").await?.close().await?;
        ada.hears("gone with 1000 after 0, 1 left").await?;
    }
    Ok(())
}

pub async fn a_type_closes_with_its_own_code(site: &Site) -> Result<()> {
    let mut ada = room(site, "blue").await?;
    ada.say("bye").await?;
    let (code, reason) = ada.close_frame().await?;
    ensure!((code, &*reason) == (4001, "bye"), "{code} {reason}");
    let mut bob = room(site, "red").await?;
    bob.say("fail").await?;
    let (code, reason) = bob.close_frame().await?;
    ensure!(
        (code, &*reason) == (1008, "asked to fail"),
        "{code} {reason}"
    );
    Ok(())
}

pub async fn typed_messages_come_and_go(site: &Site) -> Result<()> {
    let mut socket = site.socket("/sum").await?;
    for (request, answer) in [
        (json!({"add": 4}), json!({"sum": 4})),
        (json!({"add": -1}), json!({"sum": 3})),
        (json!("clear"), json!({"sum": 0})),
    ] {
        ensure!(socket.asks(&request).await? == answer);
    }
    let misfit = socket.asks(&json!({"add": "four"})).await?;
    let reason = misfit["misfit"].as_str().context("no reason")?;
    ensure!(reason.contains("add") && reason.contains("i64"), "{reason}");
    ensure!(socket.asks(&json!({"add": 1})).await? == json!({"sum": 1}));
    Ok(())
}

pub async fn streams_have_their_own_sessions(site: &Site) -> Result<()> {
    let mut socket = site.socket("/streams/one").await?;
    for (stream, by, sum) in [("a", 1, 1), ("b", 10, 10), ("a", 2, 3), ("b", 10, 20)] {
        let answer = socket
            .asks(&json!({"stream": stream, "payload": by}))
            .await?;
        ensure!(
            answer == json!({"stream": stream, "payload": sum}),
            "{answer}"
        );
    }
    Ok(())
}

pub async fn a_stream_fails_alone(site: &Site) -> Result<()> {
    let mut socket = site.socket("/streams/two").await?;
    for (frame, stream, code) in [
        (
            json!({"stream": "a", "payload": 101}),
            json!("a"),
            "rejected",
        ),
        (
            json!({"stream": "a", "payload": "x"}),
            json!("a"),
            "bad_payload",
        ),
        (
            json!({"stream": "z", "payload": 1}),
            json!("z"),
            "unknown_stream",
        ),
        (json!({"stream": "b"}), json!("b"), "malformed"),
        (json!([1, 2]), Value::Null, "malformed"),
    ] {
        let answer = socket.asks(&frame).await?;
        ensure!(
            answer["stream"] == stream && answer["error"]["code"] == code,
            "{frame}: {answer}"
        );
    }
    let answer = socket.asks(&json!({"stream": "a", "payload": 1})).await?;
    ensure!(answer == json!({"stream": "a", "payload": 1}), "{answer}");
    Ok(())
}

pub async fn a_group_send_reaches_the_stream(site: &Site) -> Result<()> {
    let mut ada = site.socket("/streams/three").await?;
    let mut bob = site.socket("/streams/three").await?;
    let frame = json!({"stream": "chat", "payload": "hello"});
    ensure!(ada.asks(&frame).await? == frame);
    let heard = bob.next().await?;
    ensure!(
        heard == Message::text(r#"{"stream":"chat","payload":"hello"}"#),
        "{heard}"
    );
    Ok(())
}

pub async fn a_job_runs_elsewhere_now_and_later(site: &Site) -> Result<()> {
    let mut socket = site.socket("/later").await?;
    socket.say("7").await?;
    let answers = [socket.next().await?, socket.next().await?];
    // Either may come first: the one's delay may pass while the other waits
    // for a worker.
    for answer in ["squared 49", "multiplied 21"] {
        ensure!(answers.contains(&Message::text(answer)), "{answers:?}");
    }
    Ok(())
}

pub async fn an_event_comes_later_or_is_cancelled(site: &Site) -> Result<()> {
    let mut socket = site.socket("/later").await?;
    socket.say("soon").await?;
    socket.hears("soon: it is time").await?;
    socket.say("much later").await?;
    socket.hears("waiting").await?;
    socket.say("cancel").await?;
    socket.hears("true").await?;
    socket.say("cancel").await?;
    socket.hears("false").await
}

pub async fn ticks_come_until_they_are_stopped(site: &Site) -> Result<()> {
    let mut socket = site.socket("/later").await?;
    socket.say("tick").await?;
    for number in 1..=3 {
        socket.hears(&format!("tick {number}")).await?;
    }
    // Another tick would come before this one's event, which is 200 ms away.
    socket.say("soon").await?;
    socket.hears("soon: it is time").await
}

pub async fn frames_of_one_connection_are_handled_in_order(site: &Site) -> Result<()> {
    let mut sockets = Vec::new();
    for _ in 0..10 {
        sockets.push(site.socket("/busy").await?);
    }
    for number in 1..=20 {
        for socket in &mut sockets {
            socket.say(&number.to_string()).await?;
        }
    }
    for number in 1..=20 {
        for socket in &mut sockets {
            socket.hears(&format!("{number} {number}")).await?;
        }
    }
    Ok(())
}

/// A socket in a room, welcomed.
async fn room(site: &Site, name: &str) -> Result<Socket> {
    let mut socket = site.socket(&format!("/room/{name}")).await?;
    socket.hears("welcome").await?;
    Ok(socket)
}

impl Socket {
    /// Sends a value as JSON and returns the next message, as JSON too.
    async fn asks(&mut self, value: &Value) -> Result<Value> {
        self.send(Message::text(value.to_string())).await?;
        let answer = self.next().await?;
        Ok(serde_json::from_str(answer.to_text()?)?)
    }
}
