//! Sending to channels of any kind, and waiting for their room.

use std::time::Duration;

use bytes::Bytes;
use towpath_layer_core::{
    ChannelName, CodecError, Counter, InboxEntry, Message, SendError, encode,
};

use crate::accounts::statistics_ttl_s;
use crate::core::Core;
use crate::failure::Failure;
use crate::letter::Letter;
use crate::millis;
use crate::parcels::{Class, Parcel, Target, Verdict};
use crate::scripts::{CHANNEL_ROOM, INBOX_ROOM};
use crate::value;

/// The longest wait for room, whoever makes it.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(1);
/// How long a waiter's wish to be told stands: a little longer than it waits.
const ROOM_TTL: Duration = Duration::from_millis(1_500);

/// What is to be done about one message.
enum Way {
    Travels(Parcel),
    /// It is for a connection, and says nothing that one understands.
    Nowhere,
}

impl Core {
    pub(crate) fn check_size(&self, payload: usize, envelope: usize) -> Result<(), SendError> {
        if self.is_closed() {
            return Err(SendError::Closed);
        }
        let too_large = |size, size_max| Err(SendError::MessageTooLarge { size, size_max });
        if payload > self.limits.message_size_max {
            return too_large(payload, self.limits.message_size_max);
        }
        if envelope > self.limits.envelope_size_max {
            return too_large(envelope, self.limits.envelope_size_max);
        }
        Ok(())
    }

    fn way(&self, channel: &ChannelName, message: Message) -> Result<Way, SendError> {
        self.check_size(message.payload_size(), message.envelope_size())?;
        let Some((node, to)) = channel.as_reply() else {
            let entry = written(encode(self.ids.next(), &message))?;
            return Ok(Way::Travels(Parcel {
                target: Target::Channel(channel.clone()),
                class: Class::Bounded,
                entry,
            }));
        };
        let Message::Reply(reply) = message else {
            return Ok(Way::Nowhere);
        };
        let letter = Letter::Entry(InboxEntry::Reply { to, reply });
        Ok(Way::Travels(Parcel {
            target: Target::Inbox(node),
            class: letter.class(),
            entry: written(letter.write(&self.ids))?,
        }))
    }

    fn sent(
        &self,
        channel: &ChannelName,
        verdict: Result<Verdict, Failure>,
    ) -> Result<(), SendError> {
        match verdict {
            Ok(Verdict::Taken) => Ok(()),
            Ok(Verdict::Full) => Err(SendError::ChannelFull {
                channel: channel.clone(),
            }),
            // The worker that was back first would throw away what it has for
            // a node that is about to be.
            Ok(Verdict::Gone) if self.link.was_away(self.limits.lease) => {
                Err(Failure::owner_away().into())
            }
            Ok(Verdict::Gone | Verdict::Empty) => {
                self.accounts.count(Counter::Dropped, 1);
                Ok(())
            }
            Err(_) if self.is_closed() => Err(SendError::Closed),
            Err(failure) => Err(failure.into()),
        }
    }

    pub(crate) async fn send(
        &self,
        channel: &ChannelName,
        message: Message,
    ) -> Result<(), SendError> {
        match self.way(channel, message)? {
            Way::Travels(parcel) => self.sent(channel, self.dispatch_one(parcel).await),
            Way::Nowhere => self.sent(channel, Ok(Verdict::Empty)),
        }
    }

    pub(crate) async fn send_many(
        &self,
        batch: Vec<(ChannelName, Message)>,
    ) -> Vec<Result<(), SendError>> {
        let mut parcels = Vec::with_capacity(batch.len());
        // What is decided at once, or nothing for what has to be waited for.
        let mut decided = Vec::with_capacity(batch.len());
        for (channel, message) in batch {
            let way = self.way(&channel, message);
            decided.push((
                channel,
                match way {
                    Ok(Way::Travels(parcel)) => {
                        parcels.push(parcel);
                        None
                    }
                    Ok(Way::Nowhere) => Some(Ok(Verdict::Empty)),
                    Err(error) => Some(Err(error)),
                },
            ));
        }
        let mut verdicts = self.dispatch(parcels).await.into_iter();
        let results = decided.into_iter().map(|(channel, decided)| match decided {
            Some(Err(error)) => Err(error),
            Some(Ok(verdict)) => self.sent(&channel, Ok(verdict)),
            None => {
                let verdict = verdicts.next();
                self.sent(
                    &channel,
                    verdict.unwrap_or_else(|| Err(Failure::unexpected())),
                )
            }
        });
        results.collect()
    }

    /// Waits until a channel may have room.
    pub(crate) async fn room(&self, channel: &ChannelName) -> Result<(), Failure> {
        let session = self.link.session()?;
        let (topic, question) = match channel.as_reply() {
            None => {
                let keys = self.keys.channel(channel);
                let mut question = CHANNEL_ROOM.call([&*keys.list, &keys.statistics, &keys.room]);
                question
                    .arg(self.limits.capacity_of(channel))
                    .arg(millis(ROOM_TTL))
                    .arg(statistics_ttl_s(channel));
                (keys.topic, question)
            }
            Some((node, _)) => {
                let keys = self.keys.node(node);
                let mut question = INBOX_ROOM.call([&*keys.inbox, &keys.bytes, &keys.room]);
                question
                    .arg(self.limits.inbox_entries_max)
                    .arg(self.limits.inbox_bytes_max)
                    .arg(millis(ROOM_TTL));
                (keys.topic, question)
            }
        };
        let waiting = self.rooms.enter(topic);
        let news = async {
            waiting.subscribe(&session).await?;
            if value::int(&self.link.run_one(question).await?)? == 0 {
                waiting.freed().await;
            }
            Ok(())
        };
        // Nobody receives what expires: then the end of the wait is the signal.
        tokio::time::timeout(ROOM_WAIT_MAX, news)
            .await
            .unwrap_or(Ok(()))
    }
}

/// A message that cannot be written is refused like one of infinite size: it
/// fails however often it is sent.
pub(crate) fn written(entry: Result<Bytes, CodecError>) -> Result<Bytes, SendError> {
    entry.map_err(|error| Failure::known(error).into())
}
