//! The offsets table: how far each partition is, in the transaction that holds the rows.
//!
//! | column | meaning |
//! |---|---|
//! | connector, topic, partition | primary key |
//! | next_offset | exclusive end of what is in the table; null: nothing yet |
//! | epoch | grows by one with each task that opens the partition |
//!
//! Invariant: a transaction moves `next_offset` only from what the task believes it to be, under the epoch that the
//! task opened with. So a task that was replaced without knowing (a zombie) can commit nothing.

use std::collections::BTreeMap;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};
use weir_connect_api::TopicPartition;

use super::catalogue;
use super::error::StatementError;
use super::name::TableName;

/// Serializes the creation of the table between tasks; any number that nobody else uses.
const CREATION_LOCK: i64 = 0x7765_6972_6f66_6673;

/// A move of one partition's offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) partition: TopicPartition,
    pub(super) epoch: i64,
    pub(super) expected: Option<i64>,
    pub(super) next: i64,
}

/// What a partition's row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) next_offset: Option<i64>,
    pub(super) epoch: i64,
}

/// What a compare-and-set found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Moved {
    Yes,
    /// An earlier try of the same transaction was committed; only its answer was lost.
    Already,
    /// Somebody else has the partition; the text says who and where.
    Fenced(String),
}

/// The table and the connector whose rows count.
#[derive(Debug, Clone)]
pub(super) struct OffsetsTable {
    name: TableName,
    connector: String,
}

impl OffsetsTable {
    /// Finds the table or creates it.
    pub(super) async fn ensure(
        connection: &mut PgConnection,
        configured: &TableName,
        connector: &str,
    ) -> Result<Self, sqlx::Error> {
        let connector = connector.to_owned();
        if let Some(table) = catalogue::load(connection, configured).await? {
            return Ok(Self { name: table.name, connector });
        }
        let name = catalogue::qualified(connection, configured).await?;
        let create = format!(
            "begin; select pg_catalog.pg_advisory_xact_lock({CREATION_LOCK});
             create table if not exists {name} (
                 connector text not null, topic text not null, partition int not null,
                 next_offset bigint, epoch bigint not null,
                 primary key (connector, topic, partition));
             commit"
        );
        sqlx::raw_sql(AssertSqlSafe(create)).execute(connection).await?;
        Ok(Self { name, connector })
    }

    /// Takes the partitions over: from now on tasks that opened them before are fenced.
    pub(super) async fn open(
        &self,
        connection: &mut PgConnection,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Stored>, sqlx::Error> {
        let sql = format!(
            "insert into {} as o (connector, topic, partition, next_offset, epoch)
             select $1, n.topic, n.partition, null, 1 from unnest($2::text[], $3::int[]) as n (topic, partition)
             on conflict (connector, topic, partition) do update set epoch = o.epoch + 1
             returning topic, partition, next_offset, epoch",
            self.name
        );
        self.rows(connection, sql, partitions).await
    }

    async fn read(
        &self,
        connection: &mut PgConnection,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Stored>, sqlx::Error> {
        let sql = format!(
            "select o.topic, o.partition, o.next_offset, o.epoch
               from {} o join unnest($2::text[], $3::int[]) as n (topic, partition)
                 on o.topic = n.topic and o.partition = n.partition
              where o.connector = $1",
            self.name
        );
        self.rows(connection, sql, partitions).await
    }

    async fn rows(
        &self,
        connection: &mut PgConnection,
        sql: String,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Stored>, sqlx::Error> {
        let (topics, numbers) = split(partitions.iter());
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(&self.connector).bind(topics).bind(numbers);
        let rows = rows.fetch_all(connection).await?;
        let stored = rows.into_iter().map(|row| {
            let topic: String = row.try_get("topic")?;
            let stored = Stored { next_offset: row.try_get("next_offset")?, epoch: row.try_get("epoch")? };
            Ok((TopicPartition::new(topic, row.try_get("partition")?), stored))
        });
        stored.collect()
    }

    /// Moves the offsets within the open transaction. Anything but [`Moved::Yes`] must be followed by a rollback.
    pub(super) async fn advance(&self, connection: &mut PgConnection, moves: &[Move]) -> Result<Moved, StatementError> {
        let sql = format!(
            "update {} as o set next_offset = n.next
               from unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[])
                    as n (topic, partition, expected, next, epoch)
              where o.connector = $1 and o.topic = n.topic and o.partition = n.partition
                and o.epoch = n.epoch and o.next_offset is not distinct from n.expected",
            self.name
        );
        let (topics, numbers) = split(moves.iter().map(|m| &m.partition));
        let updated = sqlx::query(AssertSqlSafe(sql))
            .bind(&self.connector)
            .bind(topics)
            .bind(numbers)
            .bind(moves.iter().map(|m| m.expected).collect::<Vec<_>>())
            .bind(moves.iter().map(|m| m.next).collect::<Vec<_>>())
            .bind(moves.iter().map(|m| m.epoch).collect::<Vec<_>>())
            .execute(&mut *connection)
            .await?
            .rows_affected();
        if updated == moves.len() as u64 {
            return Ok(Moved::Yes);
        }
        let partitions: Vec<TopicPartition> = moves.iter().map(|m| m.partition.clone()).collect();
        let stored = self.read(connection, &partitions).await?;
        Ok(self.explain(moves, &stored))
    }

    fn explain(&self, moves: &[Move], stored: &BTreeMap<TopicPartition, Stored>) -> Moved {
        for m in moves {
            match stored.get(&m.partition) {
                Some(row) if row.epoch != m.epoch => {
                    return Moved::Fenced(format!(
                        "{} of connector {} was taken over by another task (epoch {}, this task has {})",
                        m.partition, self.connector, row.epoch, m.epoch
                    ));
                }
                Some(row) if row.next_offset == Some(m.next) => {}
                row => {
                    return Moved::Fenced(format!(
                        "{} of connector {} was changed in table {} by somebody else: it says {:?}, expected {:?}",
                        m.partition,
                        self.connector,
                        self.name,
                        row.and_then(|row| row.next_offset),
                        m.expected
                    ));
                }
            }
        }
        Moved::Already
    }

    /// Sets offsets by hand; `None` forgets. Tasks that have the partitions open are fenced.
    pub(super) async fn alter(
        &self,
        connection: &mut PgConnection,
        offsets: &BTreeMap<TopicPartition, Option<i64>>,
    ) -> Result<(), sqlx::Error> {
        let sql = format!(
            "insert into {} as o (connector, topic, partition, next_offset, epoch)
             select $1, n.topic, n.partition, n.next, 1
               from unnest($2::text[], $3::int[], $4::bigint[]) as n (topic, partition, next)
             on conflict (connector, topic, partition)
             do update set next_offset = excluded.next_offset, epoch = o.epoch + 1",
            self.name
        );
        let (topics, numbers) = split(offsets.keys());
        let query = sqlx::query(AssertSqlSafe(sql)).bind(&self.connector).bind(topics).bind(numbers);
        query.bind(offsets.values().copied().collect::<Vec<_>>()).execute(connection).await?;
        Ok(())
    }
}

fn split<'a>(partitions: impl Iterator<Item = &'a TopicPartition>) -> (Vec<String>, Vec<i32>) {
    partitions.map(|p| (p.topic.to_string(), p.partition)).unzip()
}
