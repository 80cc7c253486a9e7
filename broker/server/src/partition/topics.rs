//! Which topics there are: by name and id for requests, and all of them for looks, as scrapes. These have a lock each, so that no
//! request waits for somebody who looks at ten thousand topics, nor for what waits for that.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use weir_types::TopicId;

use super::registry::Topic;

#[derive(Default)]
pub(super) struct Topics {
    index: RwLock<Index>,
    /// The same topics. Whoever looks has the list to itself.
    all: RwLock<Arc<Vec<Arc<Topic>>>>,
}

#[derive(Default)]
struct Index {
    by_name: HashMap<Arc<str>, Arc<Topic>>,
    by_id: HashMap<TopicId, Arc<Topic>>,
}

impl Topics {
    pub(super) fn named(&self, name: &str) -> Option<Arc<Topic>> {
        self.index.read().unwrap_or_else(PoisonError::into_inner).by_name.get(name).cloned()
    }

    pub(super) fn with_id(&self, id: TopicId) -> Option<Arc<Topic>> {
        self.index.read().unwrap_or_else(PoisonError::into_inner).by_id.get(&id).cloned()
    }

    pub(super) fn all(&self) -> Arc<Vec<Arc<Topic>>> {
        Arc::clone(&self.all.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// These, all at once, and no others.
    pub(super) fn begin_with(&self, topics: Vec<Arc<Topic>>) {
        let mut index = Index::default();
        topics.iter().for_each(|topic| index.insert(topic));
        self.change_all(|all| *all = topics);
        *self.index() = index;
    }

    /// In the place of the topic with its id, if there is one. One caller at a time: metadata change in order.
    pub(super) fn insert(&self, topic: &Arc<Topic>) {
        let known = self.with_id(topic.id);
        self.change_all(|all| match known.and_then(|known| all.iter().position(|each| Arc::ptr_eq(each, &known))) {
            Some(at) => all[at] = Arc::clone(topic),
            None => all.push(Arc::clone(topic)),
        });
        self.index().insert(topic);
    }

    pub(super) fn remove(&self, id: TopicId) {
        self.change_all(|all| all.retain(|topic| topic.id != id));
        self.index().remove(id);
    }

    fn index(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies the list only while somebody looks at it.
    fn change_all(&self, change: impl FnOnce(&mut Vec<Arc<Topic>>)) {
        change(Arc::make_mut(&mut self.all.write().unwrap_or_else(PoisonError::into_inner)));
    }
}

impl Index {
    fn insert(&mut self, topic: &Arc<Topic>) {
        self.by_id.insert(topic.id, Arc::clone(topic));
        self.by_name.insert(Arc::clone(&topic.name), Arc::clone(topic));
    }

    fn remove(&mut self, id: TopicId) {
        let Some(topic) = self.by_id.remove(&id) else { return };
        // A topic made anew under the same name is another topic.
        if self.by_name.get(&topic.name).is_some_and(|named| named.id == id) {
            self.by_name.remove(&topic.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Bounds, Level, Metrics};

    fn topic(name: &str, id: TopicId) -> Arc<Topic> {
        let metrics = Metrics::new(Bounds { level: Level::Topic, series_max: 10 }).unwrap();
        Arc::new(Topic { name: name.into(), id, partitions: Vec::new(), metrics: metrics.topic() })
    }

    fn names(all: &[Arc<Topic>]) -> Vec<&str> {
        all.iter().map(|topic| &*topic.name).collect()
    }

    #[test]
    fn a_list_stays_as_it_is_while_topics_come_change_and_go() {
        let (a, b, c) = (TopicId::random(), TopicId::random(), TopicId::random());
        let topics = Topics::default();
        topics.begin_with(vec![topic("a", a), topic("b", b)]);
        let looked = topics.all();
        topics.insert(&topic("c", c));
        let changed = topic("a", a);
        topics.insert(&changed);
        topics.remove(b);
        topics.remove(b);
        assert_eq!(names(&looked), ["a", "b"]);
        let all = topics.all();
        assert_eq!(names(&all), ["a", "c"]);
        assert!(Arc::ptr_eq(&all[0], &changed) && Arc::ptr_eq(&topics.named("a").unwrap(), &changed));
        assert!(topics.named("b").is_none() && topics.with_id(b).is_none() && topics.with_id(c).is_some());
    }

    #[test]
    fn a_topic_made_anew_under_its_name_outlives_the_old_one() {
        let (old, new) = (TopicId::random(), TopicId::random());
        let topics = Topics::default();
        topics.insert(&topic("a", old));
        topics.insert(&topic("a", new));
        topics.remove(old);
        assert_eq!(topics.named("a").unwrap().id, new);
        assert_eq!(topics.all().len(), 1);
    }
}
