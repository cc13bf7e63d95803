// Derived files that make the next start fast: compiled tokenizers and packed weights, kept in a
// model's `.gpux/` folder. They may vanish at any time and are rebuilt from their sources.
//
// Form: header (magic, kind, version, payload size, key, sources; padded to a page), payload,
// footer (magic, payload size). The header is a function of the key and of what the sources are on
// disk, so a reader makes the one it expects and compares all bytes. Anything else, also a cut or
// damaged file, counts as absent; payloads are not hashed.
#ifndef GPUX_BASE_ARTIFACT_H
#define GPUX_BASE_ARTIFACT_H

#include "base/file.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ARTIFACT_PAGE = 4096, ARTIFACT_MAX_KIND = 15, ARTIFACT_MAX_TEXT = 4096 };

typedef struct ArtifactKey {
    const char *kind;           // "tokenizer", "pack": at most ARTIFACT_MAX_KIND bytes
    uint32_t version;           // of the payload's layout
    const char *text;           // whatever else must be equal; at most ARTIFACT_MAX_TEXT bytes
    const char *const *sources; // files that it was made from, absolute or relative to the cwd
    size_t n_sources;           // recorded by base name, size, mtime (ns) and inode
    const FileStat *stats;      // [n_sources] of the sources as they were read; NULL = as they are
} ArtifactKey;

typedef struct Artifact { // a mapping, read-only, shared with other processes
    const uint8_t *data;  // payload, aligned to ARTIFACT_PAGE
    size_t size;
    void *map;
    size_t map_size;
} Artifact;

// STATUS_NOT_FOUND when there is none that is fresh and whole (the error says why);
// STATUS_OUT_OF_MEMORY, and STATUS_LIMIT for a key that is too long. No page of the payload is
// read.
Status artifact_open(Artifact *out, const char *path, const ArtifactKey *key, Error *error);
void artifact_close(Artifact *artifact); // accepts a zeroed one

// A file written to the side ("<path>.new"), `size` writable bytes of zeros whose disk space is
// reserved, so that writing them cannot fault. Makes the folder of `path` if its parent exists. Any
// error (a read-only folder, a full disk, another process that writes the same file now) means that
// the caller goes on without. What a killed writer left is taken over.
typedef struct ArtifactDraft ArtifactDraft;
Status artifact_begin(ArtifactDraft **out, const char *path, const ArtifactKey *key, size_t size,
                      Error *error);
uint8_t *artifact_draft_data(ArtifactDraft *draft); // [size], aligned to ARTIFACT_PAGE
// These bytes are final: starts to write them to the disk, which publish then need not wait for.
void artifact_draft_flush(ArtifactDraft *draft, size_t offset, size_t len);
// Makes the content durable, then renames it into place; the draft is freed in every case. On
// success *out (may be NULL) is the mapping of the published file, its payload at the address that
// the draft's had.
Status artifact_publish(Artifact *out, ArtifactDraft *draft, Error *error);
void artifact_discard(ArtifactDraft *draft); // removes the file; accepts NULL

// Removes every artefact in `folder`, also what killed writers left, and then the folder if it is
// empty; a draft that is being written stays, and so does everything else. Calls `removed` (may be
// NULL) with each name and the disk space that it took. An absent folder, or a link to one, is
// empty.
void artifact_remove_all(const char *folder,
                         void (*removed)(void *ctx, const char *name, uint64_t bytes), void *ctx);

#endif
