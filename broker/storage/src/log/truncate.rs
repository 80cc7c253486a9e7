//! Taking from the log's end: what a follower does when its leader says so.

use super::{AppendError, Log};

impl Log {
    /// Drops the batches that hold `offset` or later ones. An offset inside a batch drops that batch whole.
    pub fn truncate_to(&mut self, offset: i64) -> Result<(), AppendError> {
        self.check_healthy()?;
        if offset >= self.log_end_offset {
            return Ok(());
        }
        if offset < self.log_start_offset {
            return Err(self.out_of_range(offset));
        }
        let done = self.truncate_files(offset);
        self.forget_places();
        self.cleaned_upto = self.cleaned_upto.min(self.log_end_offset);
        self.flush.truncated();
        self.append_times.truncate(self.log_end_offset);
        self.recovery_point = self.recovery_point.min(self.log_end_offset);
        if self.epochs.truncate_from_end(self.log_end_offset) {
            self.write_epochs();
        }
        // The producers of what is left: from a snapshot before it, or from the log itself.
        let done = done.and_then(|()| self.load_producers(false, i64::MIN));
        done.map_err(|error| {
            self.poison(format!("truncation to {offset} failed half way: {error}"));
            AppendError::io(&self.partition, error)
        })
    }

    fn truncate_files(&mut self, offset: i64) -> std::io::Result<()> {
        let index = self.segment_index(offset);
        self.drop_segments_from(index + 1)?;
        self.segments[index].indexes()?;
        let place = self.find(index, offset)?;
        let segment = &mut self.segments[index];
        let (end, position) = match place {
            Some(place) => (place.base_offset.min(offset), place.position),
            None => (offset, segment.size_bytes()),
        };
        segment.truncate(end, position)?;
        self.log_end_offset = end;
        Ok(())
    }

    pub(super) fn out_of_range(&self, offset: i64) -> AppendError {
        AppendError::OffsetOutOfRange {
            partition: self.partition.clone(),
            offset,
            log_start_offset: self.log_start_offset,
            log_end_offset: self.log_end_offset,
        }
    }
}
