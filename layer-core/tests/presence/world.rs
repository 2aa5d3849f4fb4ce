//! Sources, the layer's store, replicas that lose messages, and clients.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use towpath_layer_core::NodeId;
use towpath_layer_core::presence::{
    Applied, Change, Local, Pending, PresenceLimits, Reading, References, Replica, Snapshot,
    Source, Stored,
};

use super::client::Client;
use super::node;

pub(crate) const OWNERS: usize = 3;
pub(crate) const VIEWERS: usize = 3;
pub(crate) const CONNECTIONS: u8 = 6;
const HELD_MAX: usize = 12;

/// What comes from a node, in order.
#[derive(Debug, Clone)]
enum News {
    Change(Change),
    Gone(u64),
}

#[derive(Debug)]
struct Owner {
    source: Source,
    local: Local<u8>,
    references: References,
}

#[derive(Debug)]
struct Read {
    reading: Reading,
    half: Option<Snapshot>,
}

#[derive(Debug)]
struct Viewer {
    replica: Replica,
    queues: BTreeMap<NodeId, VecDeque<News>>,
    read: Option<Read>,
    uncertain: bool,
    pending: Pending,
    client: Option<Client>,
    /// References that may come back: their node was declared dead, and lives.
    back: BTreeSet<String>,
}

#[derive(Debug)]
pub(crate) struct World {
    owners: Vec<Owner>,
    viewers: Vec<Viewer>,
    store: BTreeMap<(NodeId, u8), Bytes>,
    certain: bool,
    nodes: u64,
    said: u64,
}

impl Owner {
    fn new(seed: u64) -> Self {
        let source = Source {
            node: node(seed),
            incarnation: 1,
            shard: 0,
        };
        Self {
            source,
            local: Local::new(source, seed, PresenceLimits::default()),
            references: References::new(source),
        }
    }
}

impl Viewer {
    fn new() -> Self {
        let (replica, reading) = Replica::new(HELD_MAX);
        Self {
            replica,
            queues: BTreeMap::new(),
            read: Some(Read {
                reading,
                half: None,
            }),
            uncertain: false,
            pending: Pending::default(),
            client: None,
            back: BTreeSet::new(),
        }
    }

    fn absorb(&mut self, applied: Applied) {
        if let Some(diff) = applied.diff {
            self.pending.add(diff);
        }
        if let Some(reading) = applied.reread {
            self.read = Some(Read {
                reading,
                half: None,
            });
        }
    }

    fn hear(&mut self, node: NodeId, news: &News) {
        match news {
            News::Change(change) => {
                let applied = self.replica.apply(change);
                self.absorb(applied);
            }
            News::Gone(incarnation) => {
                if let Some(diff) = self.replica.source_gone(node, *incarnation) {
                    self.pending.add(diff);
                }
            }
        }
    }

    fn reread(&mut self) {
        let reading = self.replica.reread();
        self.absorb(Applied {
            diff: None,
            reread: Some(reading),
        });
    }

    fn announce(&mut self) {
        if let Some(diff) = self.pending.take()
            && let Some(client) = &mut self.client
        {
            client.sync_diff(&diff.to_json());
            client.check(&self.back);
        }
    }

    fn queue(&mut self, at: usize) -> Option<(NodeId, &mut VecDeque<News>)> {
        let filled = self
            .queues
            .iter_mut()
            .filter(|(_, queue)| !queue.is_empty());
        let mut filled: Vec<_> = filled.collect();
        if filled.is_empty() {
            return None;
        }
        let (node, queue) = filled.swap_remove(at % filled.len());
        Some((*node, queue))
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            owners: (0..OWNERS as u64).map(Owner::new).collect(),
            viewers: (0..VIEWERS).map(|_| Viewer::new()).collect(),
            store: BTreeMap::new(),
            certain: true,
            nodes: OWNERS as u64,
            said: 0,
        }
    }

    fn tell(&mut self, node: NodeId, news: &News) {
        for viewer in &mut self.viewers {
            let queue = viewer.queues.entry(node).or_default();
            queue.push_back(news.clone());
        }
    }

    fn put(&mut self, owner: usize, connection: u8) {
        let Owner { source, local, .. } = &self.owners[owner];
        let at = (source.node, connection);
        match local.stored(connection) {
            Some(stored) => self.store.insert(at, stored.encode().unwrap()),
            None => self.store.remove(&at),
        };
    }

    fn put_all(&mut self, owner: usize) {
        for connection in 0..CONNECTIONS {
            self.put(owner, connection);
        }
    }

    /// Stores, then publishes.
    fn publish(&mut self, owner: usize, connection: u8, change: Option<Change>) {
        if let Some(change) = change {
            self.put(owner, connection);
            self.tell(self.owners[owner].source.node, &News::Change(change));
        }
    }

    pub(crate) fn track(&mut self, owner: usize, connection: u8, key: u8, update: bool) {
        self.said += 1;
        let meta = format!("{{\"n\":{}}}", self.said).into();
        let key = format!("user \"{key}\"").into();
        let Owner {
            local, references, ..
        } = &mut self.owners[owner];
        let change = if update {
            local.update(connection, &key, &meta, references)
        } else {
            local.track(connection, key, &meta, references)
        };
        self.publish(owner, connection, change.ok());
    }

    pub(crate) fn untrack(&mut self, owner: usize, connection: u8, key: u8) {
        let key = format!("user \"{key}\"");
        let change = self.owners[owner].local.untrack(connection, &key);
        self.publish(owner, connection, change);
    }

    pub(crate) fn end(&mut self, owner: usize, connection: u8) {
        let change = self.owners[owner].local.untrack_all(connection);
        self.publish(owner, connection, change);
    }

    pub(crate) fn announce_all(&mut self, owner: usize) {
        let change = self.owners[owner].local.announce();
        self.tell(self.owners[owner].source.node, &News::Change(change));
    }

    /// A node dies; another takes its place. What it stored stays for a while.
    pub(crate) fn kill(&mut self, owner: usize) {
        self.nodes += 1;
        let next = Owner::new(self.nodes);
        let dead = std::mem::replace(&mut self.owners[owner], next).source;
        self.tell(dead.node, &News::Gone(dead.incarnation));
    }

    /// A node is declared dead while it is only slow, and comes back. With
    /// `late`, the news of its death come after it is back.
    pub(crate) fn pause(&mut self, owner: usize, late: bool) {
        let old = self.owners[owner].source;
        for back in self.references(owner) {
            for viewer in &mut self.viewers {
                viewer.back.insert(back.clone());
            }
        }
        self.store.retain(|(node, _), _| *node != old.node);
        self.owners[owner].source.incarnation += 1;
        let incarnation = self.owners[owner].source.incarnation;
        let back = News::Change(self.owners[owner].local.renew(incarnation));
        self.put_all(owner);
        let gone = News::Gone(old.incarnation);
        let news = if late { [back, gone] } else { [gone, back] };
        for news in &news {
            self.tell(old.node, news);
        }
    }

    fn references(&self, owner: usize) -> Vec<String> {
        let local = &self.owners[owner].local;
        let entries = local.connections().flat_map(|one| local.entries(one));
        entries.map(|entry| entry.reference.to_string()).collect()
    }

    /// The layer forgets the memberships of the dead.
    pub(crate) fn sweep(&mut self) {
        let owners = self.owners.iter().map(|owner| owner.source.node);
        let alive: BTreeSet<_> = owners.collect();
        self.store.retain(|(node, _), _| alive.contains(node));
    }

    /// The backend comes back empty.
    pub(crate) fn empty(&mut self) {
        self.store.clear();
        self.certain = false;
    }

    /// Every node has announced its members.
    pub(crate) fn refill(&mut self) {
        for owner in 0..OWNERS {
            self.put_all(owner);
        }
        self.certain = true;
        for viewer in &mut self.viewers {
            if std::mem::take(&mut viewer.uncertain) {
                viewer.reread();
            }
        }
    }

    pub(crate) fn deliver(&mut self, viewer: usize, at: usize, twice: bool) {
        let viewer = &mut self.viewers[viewer];
        if let Some((node, queue)) = viewer.queue(at)
            && let Some(news) = queue.pop_front()
        {
            viewer.hear(node, &news);
            if twice {
                viewer.hear(node, &news);
            }
        }
    }

    /// A change is lost; the news of a death are not.
    pub(crate) fn lose(&mut self, viewer: usize, at: usize) {
        if let Some((_, queue)) = self.viewers[viewer].queue(at)
            && matches!(queue.front(), Some(News::Change(_)))
        {
            queue.pop_front();
        }
    }

    pub(crate) fn gap(&mut self, viewer: usize) {
        self.viewers[viewer].reread();
    }

    /// Reads half of the memberships, or the other half if that was done.
    pub(crate) fn read(&mut self, viewer: usize) {
        let viewer = &mut self.viewers[viewer];
        let Some(Read { reading, half }) = viewer.read.take() else {
            return;
        };
        let second = half.is_some();
        let mut snapshot = half.unwrap_or(Snapshot {
            stored: Vec::new(),
            certain: true,
        });
        let found = self.store.iter();
        let found = found.filter(|((_, connection), _)| (*connection >= CONNECTIONS / 2) == second);
        let stored = found.map(|(_, bytes)| Stored::decode(bytes).unwrap());
        snapshot.stored.extend(stored);
        snapshot.certain &= self.certain;
        if second {
            viewer.uncertain |= !snapshot.certain;
            let applied = viewer.replica.loaded(reading, &snapshot);
            viewer.absorb(applied);
        } else {
            let half = Some(snapshot);
            viewer.read = Some(Read { reading, half });
        }
    }

    pub(crate) fn announce(&mut self, viewer: usize) {
        self.viewers[viewer].announce();
    }

    /// A client joins, or joins once more.
    pub(crate) fn join(&mut self, viewer: usize) {
        let viewer = &mut self.viewers[viewer];
        viewer.announce();
        let client = viewer.client.get_or_insert_default();
        client.sync_state(&viewer.replica.state());
        client.check(&viewer.back);
    }

    /// Nothing is lost any more, and nothing happens but what was begun.
    pub(crate) fn settle(&mut self) {
        self.sweep();
        self.refill();
        for _ in 0..8 {
            for owner in 0..OWNERS {
                let beat = News::Change(self.owners[owner].local.beat());
                self.tell(self.owners[owner].source.node, &beat);
            }
            for viewer in 0..VIEWERS {
                while self.viewers[viewer].queue(0).is_some() {
                    self.deliver(viewer, 0, false);
                }
            }
            if self.viewers.iter().all(|viewer| viewer.read.is_none()) {
                break;
            }
            for viewer in 0..VIEWERS {
                while self.viewers[viewer].read.is_some() {
                    self.read(viewer);
                }
            }
        }
        for viewer in &mut self.viewers {
            assert!(!viewer.replica.is_loading(), "it reads for ever");
            viewer.announce();
        }
    }

    /// Who is here, by those who must know.
    pub(crate) fn truth(&self) -> BTreeSet<(String, String, u64)> {
        let mut truth = BTreeSet::new();
        for owner in &self.owners {
            for connection in owner.local.connections() {
                for entry in owner.local.entries(connection) {
                    let meta: serde_json::Value = serde_json::from_str(&entry.meta).unwrap();
                    let said = meta["n"].as_u64().unwrap();
                    let (key, reference) = (entry.key.to_string(), entry.reference.to_string());
                    truth.insert((key, reference, said));
                }
            }
        }
        truth
    }

    /// What each replica has, and what each client has been told.
    pub(crate) fn views(&self) -> Vec<BTreeSet<(String, String, u64)>> {
        let replicas = self.viewers.iter().map(|viewer| {
            let mut client = Client::default();
            client.sync_state(&viewer.replica.state());
            client.view()
        });
        let clients = self
            .viewers
            .iter()
            .filter_map(|viewer| viewer.client.as_ref());
        replicas.chain(clients.map(Client::view)).collect()
    }
}
