//! The scripts that run inside Redis, one file each.

use std::sync::LazyLock;

use redis::Cmd;

/// What stands in front of every script.
const COMMON: &str = include_str!("scripts/common.lua");

/// What stands behind that in those that deal with delayed messages.
const DELAYED: &str = include_str!("scripts/delayed.lua");

/// And in those that deal with what groups keep.
const HISTORY: &str = include_str!("scripts/history.lua");

/// One script.
#[derive(Debug)]
pub(crate) struct Script {
    code: String,
    hash: String,
}

impl Script {
    fn new(parts: &[&str]) -> Self {
        let code = parts.join("\n");
        let hash = redis::Script::new(&code).get_hash().to_owned();
        Self { code, hash }
    }

    /// A call of the script with these keys; arguments follow.
    pub(crate) fn call<'a>(&self, keys: impl IntoIterator<Item = &'a str>) -> Cmd {
        let keys: Vec<_> = keys.into_iter().collect();
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.hash).arg(keys.len()).arg(keys);
        call
    }
}

macro_rules! scripts {
    ($($name:ident $path:literal $(with $part:ident)?;)*) => {
        $(pub(crate) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(&[COMMON, $($part,)? include_str!($path)]));)*

        /// Commands that make all scripts known to a server.
        pub(crate) fn load_all() -> Vec<Cmd> {
            let load = |script: &Script| {
                let mut load = redis::cmd("SCRIPT");
                load.arg("LOAD").arg(&script.code);
                load
            };
            vec![$(load(&$name)),*]
        }
    };
}

scripts! {
    CHANNEL_SEND "scripts/channel_send.lua" with DELAYED;
    CHANNEL_DELAY "scripts/channel_delay.lua" with DELAYED;
    CHANNEL_ADMIT "scripts/channel_admit.lua" with DELAYED;
    CHANNEL_RETURN "scripts/channel_return.lua";
    CHANNEL_ACCOUNT "scripts/channel_account.lua" with DELAYED;
    CHANNEL_ROOM "scripts/channel_room.lua";
    CHANNEL_STATISTICS "scripts/channel_statistics.lua" with DELAYED;
    INBOX_PUSH "scripts/inbox_push.lua";
    INBOX_SETTLE "scripts/inbox_settle.lua" with DELAYED;
    INBOX_ROOM "scripts/inbox_room.lua";
    INBOX_DELAY "scripts/inbox_delay.lua" with DELAYED;
    INBOX_DELIVER "scripts/inbox_deliver.lua" with DELAYED;
    DELAY_CANCEL "scripts/delay_cancel.lua" with DELAYED;
    DELAY_REGISTER "scripts/delay_register.lua" with DELAYED;
    DELAY_CLAIM "scripts/delay_claim.lua" with DELAYED;
    DELAY_RELEASE "scripts/delay_release.lua" with DELAYED;
    GROUP_ADD "scripts/group_add.lua";
    GROUP_DISCARD "scripts/group_discard.lua";
    GROUP_DISCARD_ALL "scripts/group_discard_all.lua";
    GROUP_ANNOUNCE "scripts/group_announce.lua";
    GROUP_PURGE "scripts/group_purge.lua";
    GROUP_PUBLISH "scripts/group_publish.lua" with HISTORY;
    GROUP_RECALL "scripts/group_recall.lua" with HISTORY;
    REGISTRY_REMOVE "scripts/registry_remove.lua";
    LEASE_TAKE "scripts/lease_take.lua";
    LEASE_RENEW "scripts/lease_renew.lua";
    LEASE_ANNOUNCED "scripts/lease_announced.lua";
    LEASE_END "scripts/lease_end.lua";
}
