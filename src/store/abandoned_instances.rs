//! Instances of this process that were abandoned after a failure, and how far their commits came.

use super::StoreError;
use crate::format::id::InstanceId;
use std::collections::VecDeque;
use std::sync::Arc;

/// The number of abandoned instances whose progress is remembered. A program that tries again and again
/// on a full disk abandons one each time. A caller that waits for a commit of an older one gets an
/// unknown outcome.
const ABANDONED_MAX: usize = 256;

/// An abandoned instance: how far its commits are written and synced, and the cause.
#[derive(Debug)]
pub(super) struct AbandonedInstance {
    pub instance: InstanceId,
    pub written: u64,
    pub synced: u64,
    /// True if some later commits may have been written.
    pub unknown: bool,
    pub source: Arc<StoreError>,
}

/// The last abandoned instances, the newest last.
#[derive(Debug, Default)]
pub(super) struct AbandonedInstances(VecDeque<AbandonedInstance>);

impl AbandonedInstances {
    /// Adds an instance, and forgets the oldest one if there are too many.
    pub(super) fn add(&mut self, instance: AbandonedInstance) {
        self.0.push_back(instance);
        if self.0.len() > ABANDONED_MAX {
            self.0.pop_front();
        }
    }

    /// Returns the progress of this instance, if it was abandoned and is still remembered.
    pub(super) fn find(&self, instance: InstanceId) -> Option<&AbandonedInstance> {
        self.0.iter().find(|abandoned| abandoned.instance == instance)
    }
}
