// The tables of `gpux inspect`, drawn from the JSON that the library answers.
#ifndef GPUX_CLI_INSPECT_H
#define GPUX_CLI_INSPECT_H

#include "app/cli/cli.h"
#include "base/json.h"

// Each prints to stdout and answers an exit code.
int inspect_draw_system(const Cli *cli, const JsonValue *system);
int inspect_draw_model(const Cli *cli, const JsonValue *answer); // {"config", "model_info"}
int inspect_draw_file(const Cli *cli, const JsonValue *info);    // ModelInfo

// "[1, 128]"; "Dynamic" when nothing is fixed or known, "variable" for text.
void inspect_format_shape(Buf *out, const JsonValue *shape, const char *type);

#endif
