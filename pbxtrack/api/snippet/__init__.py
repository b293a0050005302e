"""The script that websites embed: TypeScript in ``src/``, built by ``scripts/snippet`` into ``pbxtrack.js``."""
