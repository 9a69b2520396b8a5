//! Brings deleted drawers back.
//!
//! Invariant: the drawer is as it was shown last, with its history. What another process wrote at the same time stays.

use super::drawer::{Drawer, shown};
use super::handle::{Drawers, no_drawer};
#[cfg(feature = "mcp")]
use crate::memory::error::MemoryError;
use crate::memory::error::Result;
use crate::merge::{MergeError, Written};
use crate::palace::Draft;

/// Result of [`Drawers::undelete`].
///
/// ```
/// # use crdt_palace::memory::drawers::{Drawers, Item, Place};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
/// # let id = drawers.file(&[item])?.remove(0).id;
/// let there = drawers.undelete(&id)?; // it was not deleted
/// assert!(there.deleted.is_none());
/// assert_eq!(there.drawer.content, "We sign tokens with RSA.");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Undeleted {
    /// The drawer as it stands.
    pub drawer: Drawer,
    /// True if the client has read no text of this drawer. Show all of it: it counts as read.
    pub unread: bool,
    /// Writer and time of the delete that was undone; `None` if the drawer was not deleted, so nothing was written.
    pub deleted: Option<Written>,
}

impl Drawers {
    /// Returns the error of a read, which says so if the drawer was deleted.
    #[cfg(feature = "mcp")]
    pub(crate) fn if_deleted(&self, error: MemoryError) -> MemoryError {
        match error {
            MemoryError::NoDrawer { id } => match self.deleted_key(&id) {
                Ok(Some(_)) => MemoryError::DrawerDeleted { id },
                Ok(None) => MemoryError::NoDrawer { id },
                Err(error) => error,
            },
            other => other,
        }
    }

    /// Brings a deleted drawer back as it was shown last. Of one that is not deleted, it changes nothing.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
    /// let filed = drawers.file(&[item])?.remove(0);
    /// drawers.by(Some("ada/1.0".into())).delete_one(&filed.id, None)?;
    /// let back = drawers.undelete(&filed.id)?;
    /// assert_eq!(back.deleted.ok_or("it was deleted")?.by, "ada/1.0");
    /// assert_eq!(drawers.get(&filed.id)?.content, "We sign tokens with RSA.");
    /// assert!(drawers.get_at(&filed.id, &filed.etag.parse()?).is_ok()); // its history is there
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::NoDrawer`] if there never was one, and errors of the
    /// palace; then nothing was written.
    pub fn undelete(&self, id: &str) -> Result<Undeleted> {
        let key = match self.document(id)? {
            Some(document) => document.key,
            None => self.deleted_key(id)?.ok_or_else(|| no_drawer(id))?,
        };
        let (session, mut made) = (self.session(), None);
        let mut batch = self.palace.with(self.effect()).batch();
        batch.write(key.clone(), |draft| {
            let choice = session.present(draft, &key).of_unread_value();
            let deleted = bring_back(draft)?;
            let view = draft.view()?;
            made = (!view.deleted && !view.value.is_empty()).then_some((choice, view, deleted));
            Ok(())
        });
        let outcome = batch.commit()?.outcomes.into_iter().next();
        let Some((outcome, (choice, view, deleted))) = outcome.zip(made) else {
            return Err(no_drawer(id));
        };
        match &deleted {
            Some(_) => session.wrote(&key, &choice, &outcome, false),
            None => session.saw_some(&key, &outcome.current),
        }
        let unread = choice.is_to_be_shown();
        let mut drawer = shown(&key, outcome.current, view);
        drawer.place = self.shown_or_stored(drawer.place);
        Ok(Undeleted { drawer, unread, deleted })
    }
}

/// Brings a document back as it was before its delete, and returns the delete; `None` if it is not deleted.
fn bring_back(draft: &mut Draft<'_>) -> Result<Option<Written>, MergeError> {
    let Some(before) = draft.before_delete() else { return Ok(None) };
    let deleted = draft.view()?.modified;
    let before = draft.view_at(&before)?;
    // Of a drawer whose beginning has not arrived yet nothing is known.
    if !before.deleted && !before.value.is_empty() {
        draft.put(&before.value)?;
    }
    Ok(deleted)
}
