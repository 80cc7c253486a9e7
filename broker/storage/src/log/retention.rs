//! Taking from the log's beginning: by age, by size, by DeleteRecords. And rolling by time.
//!
//! Deletes whole segments only, oldest first. A deleted segment is renamed first and its files go
//! `file.delete.delay.ms` later.

use std::io;
use std::ops::RangeTo;

use super::{AppendError, Log};
use crate::folder::{DELETED, INDEX, LOG, TIME_INDEX, with_suffix};

/// Segments that one pass deletes at most, so that it holds the partition only shortly.
const SEGMENTS_PER_PASS_MAX: usize = 16;

/// What a pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionReport {
    pub deleted_segments: usize,
    /// Because they were older than `retention.ms`; more than `retention.bytes`; below the log start anyway.
    pub deleted_bytes_by_time: u64,
    pub deleted_bytes_by_size: u64,
    pub deleted_bytes_below_start: u64,
    /// It stopped at its limit: run another pass soon.
    pub has_more: bool,
}

impl Log {
    /// Deletes segments that are too old, too many, or below the log start; none that reaches `upto` (the high
    /// watermark) or past it. Removes files whose delay is over, and closes files that nobody used since the last pass.
    pub fn retention_pass(&mut self, now_ms: i64, upto: RangeTo<i64>) -> Result<RetentionReport, AppendError> {
        self.check_healthy()?;
        self.remove_doomed(now_ms);
        let mut report = RetentionReport::default();
        while let Some(first) = self.deletable(now_ms, upto.end).map_err(|e| AppendError::io(&self.partition, e))? {
            if report.deleted_segments == SEGMENTS_PER_PASS_MAX {
                report.has_more = true;
                break;
            }
            if first.is_active {
                self.roll(self.log_end_offset, now_ms)?;
            }
            let deleted_bytes = self.delete_first_segment(now_ms)?;
            match first.reason {
                Reason::BelowStart => report.deleted_bytes_below_start += deleted_bytes,
                Reason::TooMuch => report.deleted_bytes_by_size += deleted_bytes,
                Reason::TooOld => report.deleted_bytes_by_time += deleted_bytes,
            }
            report.deleted_segments += 1;
        }
        if report.deleted_segments > 0 && self.epochs.truncate_from_start(self.log_start_offset) {
            self.write_epochs();
        }
        let last = self.segments.len() - 1;
        for (index, segment) in self.segments.iter_mut().enumerate() {
            segment.close_idle_files(index == last);
        }
        Ok(report)
    }

    /// Whether the first segment may go.
    fn deletable(&mut self, now_ms: i64, upto: i64) -> io::Result<Option<Deletable>> {
        let is_active = self.segments.len() == 1;
        let end = self.segment_end_offset(0);
        let (total, retention_bytes) = (self.size_bytes(), self.config.retention_bytes);
        let (retention_ms, deletes) = (self.config.retention_ms, self.config.cleanup_delete);
        let log_start_offset = self.log_start_offset;
        let segment = &mut self.segments[0];
        if end > upto || (is_active && segment.size_bytes() == 0) {
            return Ok(None);
        }
        let is_below_start = end <= log_start_offset;
        let is_too_much =
            deletes && !is_active && retention_bytes.is_some_and(|max| total - segment.size_bytes() >= max);
        let is_too_old = match retention_ms {
            Some(max) if deletes => now_ms.saturating_sub_unsigned(max) > segment.largest()?.timestamp,
            _ => false,
        };
        let reason = match (is_below_start, is_too_much, is_too_old) {
            (true, ..) => Reason::BelowStart,
            (_, true, _) => Reason::TooMuch,
            (.., true) => Reason::TooOld,
            _ => return Ok(None),
        };
        Ok(Some(Deletable { is_active, reason }))
    }

    /// The first segment is not the active one.
    fn delete_first_segment(&mut self, now_ms: i64) -> Result<u64, AppendError> {
        let segment = &self.segments[0];
        let (base_offset, size) = (segment.base_offset(), segment.size_bytes());
        segment.close_files();
        let due_ms = now_ms.saturating_add_unsigned(self.config.file_delete_delay_ms);
        // The log last: without its indexes it is still whole.
        for suffix in [INDEX, TIME_INDEX, LOG] {
            let from = self.folder.file(base_offset, suffix);
            let to = with_suffix(&from, DELETED);
            match self.folder.fs.rename(&from, &to) {
                Ok(()) => self.doomed.push((due_ms, to)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(AppendError::io(&self.partition, error)),
            }
        }
        self.segments.remove(0);
        self.flush.segments_dropped(|sealed| sealed == base_offset);
        self.log_start_offset = self.log_start_offset.max(self.segments[0].base_offset());
        self.append_times.forget_before(self.log_start_offset);
        self.recovery_point = self.recovery_point.max(self.log_start_offset);
        Ok(size)
    }

    fn remove_doomed(&mut self, now_ms: i64) {
        let folder = self.folder.clone();
        self.doomed.retain(|(due_ms, path)| {
            // One that cannot be removed is tried again with the next pass.
            *due_ms > now_ms || folder.fs.remove_file(path).is_err()
        });
    }

    /// Ends the active segment if it has been written for longer than `segment.ms` by the clock, whatever its records
    /// say, so that an idle topic's records can expire.
    pub fn roll_pass(&mut self, now_ms: i64) -> Result<(), AppendError> {
        self.check_healthy()?;
        let active = self.active();
        let age_ms = active.in_use_since_ms.map_or(0, |since_ms| now_ms.saturating_sub(since_ms));
        let age_ms_max = self.config.segment_ms.saturating_sub(active.jitter_ms);
        if active.size_bytes() > 0 && age_ms > i64::try_from(age_ms_max).unwrap_or(i64::MAX) {
            self.roll(self.log_end_offset, now_ms)?;
        }
        Ok(())
    }

    /// DeleteRecords: nothing below `to` can be read any more. The files go with a later retention pass. Survives a
    /// restart once it is in the checkpoint.
    pub fn advance_log_start_offset(&mut self, to: i64) -> Result<(), AppendError> {
        self.check_healthy()?;
        if to > self.log_end_offset {
            return Err(self.out_of_range(to));
        }
        if to > self.log_start_offset {
            self.log_start_offset = to;
            self.append_times.forget_before(to);
            if self.epochs.truncate_from_start(to) {
                self.write_epochs();
            }
        }
        Ok(())
    }
}

struct Deletable {
    /// It must be rolled first.
    is_active: bool,
    reason: Reason,
}

#[derive(Clone, Copy)]
enum Reason {
    BelowStart,
    TooMuch,
    TooOld,
}
