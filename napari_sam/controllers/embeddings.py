"""Connects the rows about embeddings: computed ahead, stored on disk, imported from micro-sam."""

from napari_sam._qt.embedding_store_row import EmbeddingStoreRow
from napari_sam._qt.micro_sam_row import ImportedEmbeddingsRow
from napari_sam._qt.prefetch_row import PrefetchRow
from napari_sam.controllers.activity import Activity
from napari_sam.controllers.context import WidgetContext
from napari_sam.session.connections import Connections
from napari_sam.session.embedding.store import StoreUsage
from napari_sam.session.state import SessionState


class EmbeddingsController:
    """Runs prefetching, the embedding store and imported embeddings."""

    def __init__(self, context: WidgetContext, prefetch_row: PrefetchRow) -> None:
        self._session, self._store = session, store = context.session, context.store
        self._dispatcher, binding = context.dispatcher, context.binding
        self.store_row = EmbeddingStoreRow(store.folder)
        self.micro_sam_row = ImportedEmbeddingsRow()
        self._prefetch_row = prefetch_row
        self._activity = Activity(context.widget, session.embedding.cancel)
        prefetch_row.embed_all.clicked.connect(binding.plane.prefetch_stack)
        prefetch_row.pause_requested.connect(session.prefetch.pause)
        prefetch_row.resume_requested.connect(session.prefetch.resume)
        prefetch_row.cancel.clicked.connect(lambda: session.prefetch.cancel())
        prefetch_row.prefetch.toggled.connect(session.prefetch.switch)
        imports = binding.plane.source.imported_embeddings
        self.micro_sam_row.folder_requested.connect(imports.use)
        self.micro_sam_row.stop.clicked.connect(imports.stop)
        self.store_row.usage_requested.connect(self._show_usage)
        self.store_row.clear.clicked.connect(self._on_clear_clicked)
        self._connections = Connections(
            (session.changed, self._on_session_changed),
            (imports.changed, self.micro_sam_row.show_import),
            (binding.plane.stack_changed, prefetch_row.show_stack),
            (store.changed, self._on_store_changed),
        )
        self._on_session_changed(session.state)

    def close(self) -> None:
        """Disconnect from session and store."""
        self._connections.close()
        self._activity.close()

    def _on_session_changed(self, state: SessionState) -> None:
        self.micro_sam_row.show_state(state)
        self._prefetch_row.show_progress(state.prefetch)
        self._activity.show_state(state)

    def _show_usage(self) -> None:
        self.store_row.show_usage(self._store.usage())

    def _on_clear_clicked(self) -> None:
        self._store.clear()
        self._show_usage()

    def _on_store_changed(self, usage: StoreUsage) -> None:
        # Sent from the store's own thread.
        self._dispatcher.post(lambda: self.store_row.show_usage(usage))
