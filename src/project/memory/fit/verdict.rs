//! The judgement: what a run takes, against what is there. Nothing here knows an engine, a recipe or a scheme.

use serde::Serialize;

use crate::units::Bytes;

/// The answer, from the worst to the best: of two budgets the larger never gets a worse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not even the low figure fits.
    No,
    /// What is known would fit, but weights or a cache are not known; or the weights are not all here.
    Unknown,
    /// The budget lies between low and high.
    Tight,
    /// Even the high figure fits.
    Fits,
}

/// Bytes that one place holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Least bytes.
    pub low: u64,
    /// Most bytes; `None` where they are not known.
    pub high: Option<u64>,
}

impl Held {
    fn plus(self, other: Self) -> Self {
        let high = self.high.zip(other.high).map(|(a, b)| a.saturating_add(b));
        Self { low: self.low.saturating_add(other.low), high }
    }

    fn times(self, n: u64) -> Self {
        Self { low: self.low.saturating_mul(n), high: self.high.map(|high| high.saturating_mul(n)) }
    }

    fn text(self) -> String {
        match self.high {
            Some(high) if high == self.low => Bytes(high).binary(),
            Some(high) => format!("{} to {}", Bytes(self.low).binary(), Bytes(high).binary()),
            None => format!("over {}", Bytes(self.low).binary()),
        }
    }
}

/// What a run takes, place by place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Demand {
    /// What a device holds, and how many hold the same.
    pub devices: Vec<(Held, u64)>,
    /// What the host holds beside them; `None` where an engine's host memory is not modelled.
    pub host: Option<Held>,
    /// Whether weights are among that, so that it may well be too much for a machine.
    pub host_weights: bool,
    /// What keeps the high figures from being known; escaped.
    pub unknown: Option<String>,
    /// Why the weights are not all of the model's; escaped. No verdict is given of a part.
    pub lacking: Option<String>,
}

/// What there is to hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of one device that may be used.
    pub usable: u64,
    /// Number of devices; `None` for as many as the run takes.
    pub devices: Option<u64>,
    /// The one memory holds what devices and host take.
    pub one_memory: bool,
    /// Bytes of the host; `None` where they are not known.
    pub host: Option<u64>,
}

/// A verdict with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Whether it fits.
    pub verdict: Verdict,
    /// The figures that decide it, or what is not known; escaped.
    pub why: String,
    /// Whether the reason is more than the device's figures against what is usable of it.
    pub beyond_device: bool,
}

impl Demand {
    /// Number of devices that the run takes.
    pub fn count(&self) -> u64 {
        self.devices.iter().fold(0, |n, (_, alike)| n.saturating_add(*alike))
    }

    /// Of the device that needs most; with the host's where one memory holds both.
    pub fn worst(&self, one_memory: bool) -> Held {
        if one_memory {
            return self.sum(true);
        }
        let low = self.devices.iter().map(|(held, _)| held.low).max().unwrap_or(0);
        let high = self.devices.iter().try_fold(0u64, |most, (held, _)| Some(most.max(held.high?)));
        self.known(Held { low, high: high.map(|high| high.max(low)) })
    }

    /// Of all devices; with the host's where one memory holds both.
    pub fn sum(&self, one_memory: bool) -> Held {
        let nothing = Held { low: 0, high: Some(0) };
        let host = self.host.filter(|_| one_memory).unwrap_or(nothing);
        self.known(self.devices.iter().fold(host, |sum, (held, alike)| sum.plus(held.times(*alike))))
    }

    /// A high figure stands only on what is known.
    fn known(&self, held: Held) -> Held {
        if self.unknown.is_some() || self.lacking.is_some() { Held { high: None, ..held } } else { held }
    }
}

/// Judges what a run takes against what is there.
pub fn judge(demand: &Demand, room: &Room) -> Judgement {
    let plain = |verdict, why| Judgement { verdict, why, beyond_device: verdict == Verdict::Unknown };
    let elsewhere = |verdict, why| Judgement { verdict, why, beyond_device: true };
    if let Some(reason) = &demand.lacking {
        return plain(Verdict::Unknown, reason.clone());
    }
    let (takes, offered) = (demand.count(), room.devices.unwrap_or(u64::MAX));
    if takes > offered {
        return elsewhere(Verdict::No, format!("the run takes {takes} devices, the budget is {offered}"));
    }
    let device = demand.worst(room.one_memory);
    let usable = Bytes(room.usable).binary();
    if device.low > room.usable {
        return plain(Verdict::No, format!("{} at least, {usable} usable", Bytes(device.low).binary()));
    }
    let host = demand.host.filter(|_| !room.one_memory);
    let beyond = |bytes: Option<u64>| bytes.zip(room.host).is_some_and(|(bytes, there)| bytes > there);
    let of_host = |held: Held| {
        let there = room.host.map_or_else(|| "what it has is not known".to_owned(), |n| format!("has {}", Bytes(n).binary()));
        format!("the host needs {}, {there} (--ram S)", held.text())
    };
    if let Some(held) = host.filter(|held| beyond(Some(held.low))) {
        return elsewhere(Verdict::No, of_host(held));
    }
    if let Some(reason) = &demand.unknown {
        return plain(Verdict::Unknown, reason.clone());
    }
    let Some(high) = device.high else {
        return plain(Verdict::Unknown, format!("{} at least, how much more is not known", Bytes(device.low).binary()));
    };
    if let Some(held) = host.filter(|held| demand.host_weights && (room.host.is_none() || held.high.is_none())) {
        return elsewhere(Verdict::Unknown, of_host(held));
    }
    let beside = host.filter(|_| demand.host_weights).map_or_else(String::new, |held| format!("; {}", of_host(held)));
    if high > room.usable {
        let why = format!("{}, {usable} usable: between low and high{beside}", device.text());
        return Judgement { verdict: Verdict::Tight, why, beyond_device: demand.host_weights };
    }
    if let Some(held) = host.filter(|held| beyond(held.high)) {
        return elsewhere(Verdict::Tight, format!("{}: between low and high", of_host(held)));
    }
    let why = format!("{} at most, {usable} usable{beside}", Bytes(high).binary());
    Judgement { verdict: Verdict::Fits, why, beyond_device: demand.host_weights }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn held(low: u64, high: u64) -> Held {
        Held { low: low * GIB, high: Some(high * GIB) }
    }

    fn room(usable: u64) -> Room {
        Room { usable: usable * GIB, devices: None, one_memory: false, host: Some(64 * GIB) }
    }

    #[test]
    fn the_budget_is_below_between_or_above() {
        let demand = Demand { devices: vec![(held(10, 12), 1)], ..Demand::default() };
        let verdict = |usable| judge(&demand, &room(usable)).verdict;
        assert_eq!([9, 10, 11, 12].map(verdict), [Verdict::No, Verdict::Tight, Verdict::Tight, Verdict::Fits]);
        // No verdict stands on what is not known or not here, but what is known may be too much already.
        let unknown = Demand { unknown: Some("the cache".to_owned()), ..demand.clone() };
        assert_eq!(judge(&unknown, &room(9)).verdict, Verdict::No);
        assert_eq!(judge(&unknown, &room(1000)).verdict, Verdict::Unknown);
        assert_eq!((unknown.worst(false).low, unknown.worst(false).high), (10 * GIB, None));
        let lacking = Demand { lacking: Some("a shard".to_owned()), ..demand };
        assert_eq!(judge(&lacking, &room(9)).verdict, Verdict::Unknown);
    }

    #[test]
    fn device_and_host_are_judged_apart_unless_one_memory_holds_both() {
        let demand = Demand { devices: vec![(held(3, 4), 1)], host: Some(held(50, 54)), host_weights: true, ..Demand::default() };
        let on = |usable, host| judge(&demand, &Room { host, ..room(usable) });
        assert_eq!(on(24, Some(64 * GIB)).verdict, Verdict::Fits);
        assert!(on(24, Some(64 * GIB)).why.ends_with("the host needs 50.0 GiB to 54.0 GiB, has 64.0 GiB (--ram S)"));
        assert_eq!(on(24, Some(52 * GIB)).verdict, Verdict::Tight);
        assert_eq!(on(24, Some(40 * GIB)).verdict, Verdict::No);
        assert_eq!(on(24, None).verdict, Verdict::Unknown);
        assert_eq!(on(2, None).verdict, Verdict::No);
        let machine = Room { one_memory: true, host: None, ..room(56) };
        assert_eq!(judge(&demand, &machine).verdict, Verdict::Tight);
        assert_eq!(demand.worst(true), held(53, 58));
        // A process that holds no weights does not ask what the machine has.
        let small = Demand { host_weights: false, host: Some(held(0, 1)), ..demand };
        assert_eq!(judge(&small, &Room { host: None, ..room(24) }).verdict, Verdict::Fits);
    }

    #[test]
    fn devices_are_counted_where_the_budget_counts_them() {
        let demand = Demand { devices: vec![(held(5, 6), 3), (held(7, 7), 1)], ..Demand::default() };
        assert_eq!((demand.worst(false), demand.sum(false)), (held(7, 7), held(22, 25)));
        let on = |devices| judge(&demand, &Room { devices, ..room(8) });
        assert_eq!((on(None).verdict, on(Some(4)).verdict, on(Some(3)).verdict), (Verdict::Fits, Verdict::Fits, Verdict::No));
        assert_eq!(on(Some(3)).why, "the run takes 4 devices, the budget is 3");
    }

    /// splitmix64: the same demands every time.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) % n
        }

        fn held(&mut self) -> Held {
            let low = self.below(20);
            Held { low, high: (self.below(8) > 0).then(|| low + self.below(6)) }
        }

        fn maybe(&mut self, one_in: u64) -> Option<String> {
            (self.below(one_in) == 0).then(|| "not known".to_owned())
        }
    }

    #[test]
    fn more_memory_is_never_judged_worse() {
        let mut dice = Dice(7);
        let mut seen = [0u32; 4];
        for round in 0..20_000 {
            let demand = Demand {
                devices: (0..=dice.below(3)).map(|_| (dice.held(), 1 + dice.below(2))).collect(),
                host: (dice.below(2) == 0).then(|| dice.held()),
                host_weights: dice.below(2) == 0,
                unknown: dice.maybe(6),
                lacking: dice.maybe(12),
            };
            let room = Room {
                usable: dice.below(60),
                devices: (dice.below(2) == 0).then(|| dice.below(6)),
                one_memory: dice.below(3) == 0,
                host: (dice.below(3) > 0).then(|| dice.below(30)),
            };
            let now = judge(&demand, &room);
            seen[now.verdict as usize] += 1;
            let larger = [
                Room { usable: room.usable + dice.below(20), ..room },
                Room { devices: room.devices.map(|n| n + 1), ..room },
                Room { host: room.host.map(|n| n + dice.below(20)), ..room },
            ];
            for more in larger {
                assert!(judge(&demand, &more).verdict >= now.verdict, "{round}: {demand:?} {room:?} {more:?}");
            }
            let (worst, sum) = (demand.worst(room.one_memory), demand.sum(room.one_memory));
            assert!(worst.low <= sum.low && worst.high <= sum.high, "{round}: {demand:?}");
            if now.verdict == Verdict::Fits {
                assert!(worst.high.is_some_and(|high| high <= room.usable), "{round}: {demand:?} {room:?}");
                let host = demand.host.filter(|_| !room.one_memory).and_then(|h| h.high).zip(room.host);
                assert!(host.is_none_or(|(needs, there)| needs <= there), "{round}: {demand:?} {room:?}");
            }
            assert!(!now.why.is_empty());
        }
        assert!(seen.iter().all(|&n| n > 100), "{seen:?}");
    }
}
