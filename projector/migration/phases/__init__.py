"""The ten phases, one a file, in their order."""

from projector.migration.phase import Phase
from projector.migration.phases.cleanup import Cleanup
from projector.migration.phases.cutover import Cutover
from projector.migration.phases.cutover_preparation import CutoverPreparation
from projector.migration.phases.extracting_snapshot import ExtractingSnapshot
from projector.migration.phases.incremental_sync import IncrementalSync
from projector.migration.phases.initial_migration import InitialMigration
from projector.migration.phases.post_cutover_validation import PostCutoverValidation
from projector.migration.phases.preparing import Preparing
from projector.migration.phases.sync_setup import SyncSetup
from projector.migration.phases.validation import Validation

PHASES: tuple[type[Phase], ...] = (
    Preparing,
    ExtractingSnapshot,
    InitialMigration,
    SyncSetup,
    IncrementalSync,
    Validation,
    CutoverPreparation,
    Cutover,
    PostCutoverValidation,
    Cleanup,
)
