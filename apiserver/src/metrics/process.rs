//! This process as Prometheus' client libraries tell it: memory, time, open files. Where there is no `/proc`, nothing.

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

/// Looks the process up when somebody asks.
#[derive(Debug)]
pub(super) struct Process;

/// What `/proc` says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Numbers {
    cpu_seconds: f64,
    started_at_seconds: f64,
    virtual_bytes: u64,
    resident_bytes: u64,
}

/// Reads `/proc/self/stat` (proc_pid_stat(5)): fields are counted after the name, which may hold anything.
fn parse(stat: &str, ticks_per_second: f64, page_bytes: u64, booted_at: f64) -> Option<Numbers> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u32>().ok().map(f64::from);
    let large = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let started_ticks: f64 = fields.get(19)?.parse().ok()?;
    Some(Numbers {
        cpu_seconds: (number(11)? + number(12)?) / ticks_per_second,
        started_at_seconds: booted_at + started_ticks / ticks_per_second,
        virtual_bytes: large(20)?,
        resident_bytes: large(21)?.saturating_mul(page_bytes),
    })
}

fn booted_at() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn numbers() -> Option<Numbers> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let ticks = u32::try_from(rustix::param::clock_ticks_per_second()).ok()?;
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    parse(&stat, f64::from(ticks), page, booted_at()?)
}

fn open_files() -> Option<u64> {
    // The folder itself is open while it is read.
    u64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok().map(|count| count.saturating_sub(1))
}

/// The soft limit of open files, as `/proc/self/limits` says it.
fn open_files_max() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.to_owned();
    line.split_whitespace().next()?.parse().ok()
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let mut gauge = |name: &str, help: &str, value: u64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        if let Some(open) = open_files() {
            gauge("process_open_fds", "Open file descriptors.", open)?;
        }
        if let Some(max) = open_files_max() {
            gauge("process_max_fds", "File descriptors that may be open at most.", max)?;
        }
        let Some(numbers) = numbers() else { return Ok(()) };
        gauge("process_resident_memory_bytes", "Resident memory in bytes.", numbers.resident_bytes)?;
        gauge("process_virtual_memory_bytes", "Virtual memory in bytes.", numbers.virtual_bytes)?;
        let started = ConstGauge::new(numbers.started_at_seconds);
        let (name, help) = ("process_start_time_seconds", "When the process began, in seconds of Unix time.");
        started.encode(encoder.encode_descriptor(name, help, None, started.metric_type())?)?;
        let cpu = ConstCounter::new(numbers.cpu_seconds);
        let (name, help) = ("process_cpu_seconds", "User and system time in seconds.");
        cpu.encode(encoder.encode_descriptor(name, help, None, cpu.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_is_skipped() {
        let stat = "42 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 9 0 1000 4096000 25 99 1 2 3";
        let numbers = parse(stat, 100.0, 4096, 1_000_000.0).unwrap();
        assert_eq!(
            numbers,
            Numbers {
                cpu_seconds: 2.0,
                started_at_seconds: 1_000_010.0,
                virtual_bytes: 4_096_000,
                resident_bytes: 102_400
            }
        );
        assert_eq!(parse("42 (short) S 1", 100.0, 4096, 0.0), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_told() {
        let numbers = numbers().unwrap();
        assert!(numbers.resident_bytes > 1024 * 1024 && numbers.virtual_bytes > numbers.resident_bytes);
        assert!(open_files().unwrap() > 2);
        assert!(open_files_max().unwrap() > open_files().unwrap());
    }
}
