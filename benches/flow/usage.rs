//! What a process used: processor time by thread, and memory, as Linux tells.

use std::time::Duration;

use anyhow::{Context, Result};

/// Linux counts a process's time in hundredths of a second, on every machine.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of the whole process so far, ended threads included.
pub(crate) fn process_cpu() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    // The name, in parentheses, may hold spaces; utime and stime are the 12th and 13th after it.
    let (_, rest) = stat
        .rsplit_once(')')
        .context("the form of /proc/self/stat")?;
    let fields: Vec<u32> = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse().ok())
        .collect();
    Ok(TICK * fields.iter().sum())
}

/// Processor time of each thread that lives, by what it does.
pub(crate) fn thread_cpu() -> Result<Vec<(String, Duration)>> {
    let mut threads = Vec::new();
    for entry in std::fs::read_dir("/proc/self/task").context("reading /proc/self/task")? {
        let path = entry?.path();
        // A thread may end between the two looks.
        let Ok(name) = std::fs::read_to_string(path.join("comm")) else {
            continue;
        };
        let Ok(told) = std::fs::read_to_string(path.join("schedstat")) else {
            continue;
        };
        let ran = told.split(' ').next().and_then(|ran| ran.parse().ok());
        let number: u32 = path
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok())
            .unwrap_or(0);
        threads.push((
            number,
            name.trim().to_owned(),
            Duration::from_nanos(ran.unwrap_or(0)),
        ));
    }
    threads.sort();
    // Arbiters share a name; the first one that is started is that of connections and the outbox.
    let mut arbiters = 0;
    Ok(threads
        .into_iter()
        .map(|(_, name, ran)| {
            if !name.starts_with("actix-rt") {
                return (name, ran);
            }
            arbiters += 1;
            let name = match arbiters {
                1 => "io".to_owned(),
                n => format!("shard {}", n - 1),
            };
            (name, ran)
        })
        .collect())
}

/// What each thread ran between two readings.
pub(crate) fn between(
    before: &[(String, Duration)],
    after: &[(String, Duration)],
) -> Vec<(String, Duration)> {
    let earlier = |name: &str| {
        before
            .iter()
            .find(|(other, _)| other == name)
            .map_or(Duration::ZERO, |(_, ran)| *ran)
    };
    after
        .iter()
        .map(|(name, ran)| (name.clone(), ran.saturating_sub(earlier(name))))
        .collect()
}

/// Forgets the highest memory use so far.
pub(crate) fn forget_peak() -> Result<()> {
    std::fs::write("/proc/self/clear_refs", "5").context("writing /proc/self/clear_refs")
}

/// The highest resident memory since the start or [`forget_peak`], in bytes.
pub(crate) fn peak_bytes() -> Result<u64> {
    let status =
        std::fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .context("VmHWM in /proc/self/status")?;
    Ok(kib * 1024)
}
