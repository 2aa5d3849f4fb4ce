//! What is counted as wrong, and who speaks again.

use super::*;

fn traffic(shape: Shape) -> Traffic {
    Traffic::new(shape, Dialect::Raw)
}

fn room_of_three() -> Traffic {
    let pace = Pace::Room(2);
    let mut traffic = traffic(Shape {
        speakers: 1,
        payload_bytes: 64,
        ..Shape::rooms(2, 3, pace)
    });
    traffic.start();
    for socket in [0, 0, 3, 3] {
        assert_eq!(traffic.next_due(), Some((socket, None)));
        traffic.speak(socket, Instant::now()).unwrap();
    }
    assert_eq!(traffic.next_due(), None);
    traffic
}

fn deliver(traffic: &mut Traffic, arrivals: &[(usize, usize, u64)]) {
    for &(socket, sender, sequence) in arrivals {
        let payload = Template::new(Dialect::Raw, sender, 64).stamp(sequence)[6..].to_vec();
        traffic.arrive(socket, &payload, Instant::now());
    }
}

#[test]
fn a_speaker_is_due_when_the_whole_room_has_its_message() {
    let mut traffic = room_of_three();
    deliver(&mut traffic, &[(0, 0, 0), (1, 0, 0), (1, 0, 1)]);
    assert_eq!(traffic.next_due(), None);
    deliver(&mut traffic, &[(2, 0, 0)]);
    assert_eq!(traffic.next_due(), Some((0, None)));
    deliver(&mut traffic, &[(0, 0, 1), (2, 0, 1)]);
    assert!(!traffic.has_all());
    for socket in 3..6 {
        deliver(&mut traffic, &[(socket, 3, 0), (socket, 3, 1)]);
    }
    assert!(traffic.has_all());
    assert_eq!(traffic.wrong(), Wrong::default());
}

#[test]
fn every_kind_of_wrong_delivery_is_counted() {
    let mut traffic = room_of_three();
    deliver(&mut traffic, &[(0, 0, 1), (0, 0, 0), (0, 0, 1), (0, 0, 7)]);
    deliver(&mut traffic, &[(0, 3, 0), (1, 2, 0), (1, 700, 0)]);
    traffic.arrive(1, b"not ours", Instant::now());
    let wrong = traffic.wrong();
    assert_eq!((wrong.out_of_order, wrong.repeated), (1, 1));
    assert_eq!((wrong.misrouted, wrong.malformed), (4, 1));
    assert_eq!(wrong.lost, 12 - 2);
}

#[test]
fn a_visitor_misses_nothing_from_its_first_message_on() {
    let mut traffic = traffic(Shape {
        payload_bytes: 64,
        ..Shape::fan_out(0, Pace::Rate(std::time::Duration::from_secs(1)))
    });
    for _ in 0..9 {
        traffic.speak(0, Instant::now()).unwrap();
    }
    traffic.visitor_comes(0);
    deliver(&mut traffic, &[(1, 0, 5), (1, 0, 6), (1, 0, 8)]);
    assert_eq!(traffic.wrong.lost, 1);
    traffic.visitor_comes(0);
    deliver(&mut traffic, &[(1, 0, 2), (1, 0, 2)]);
    assert_eq!((traffic.wrong.lost, traffic.wrong.repeated), (1, 1));
    assert_eq!(
        traffic.wrong().lost,
        1 + 9,
        "it takes nothing from those who stay"
    );
}

#[test]
fn latency_counts_from_when_a_message_was_due() {
    let mut traffic = traffic(Shape::echo(
        1,
        Pace::Rate(std::time::Duration::from_secs(1)),
    ));
    let due = Instant::now();
    let late = due + std::time::Duration::from_millis(100);
    traffic.speak(0, due).unwrap();
    let payload = Template::new(Dialect::Raw, 0, 64).stamp(0)[6..].to_vec();
    traffic.arrive(0, &payload, late);
    let latency = traffic.latency.quantile(1.0).unwrap();
    assert!(latency.as_millis() >= 99, "{latency:?}");
}

#[test]
fn a_speaker_far_ahead_is_bounded() {
    let mut traffic = traffic(Shape::echo(
        1,
        Pace::Rate(std::time::Duration::from_secs(1)),
    ));
    for _ in 0..2 * FLIGHTS_MAX {
        traffic.speak(0, Instant::now()).unwrap();
    }
    let speaker = traffic.speakers[0].as_mut().unwrap();
    assert_eq!(speaker.flights.len(), FLIGHTS_MAX);
    assert!(speaker.flight(0).is_none());
    assert!(speaker.flight(FLIGHTS_MAX as u64).is_some());
}
