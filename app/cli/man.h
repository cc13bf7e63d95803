// Manual pages made from the tables.
#ifndef GPUX_CLI_MAN_H
#define GPUX_CLI_MAN_H

#include "app/cli/args.h"
#include "base/str.h"

// Appends the page of a command, or of gpux itself for COMMAND_ROOT, in roff with the man macros.
void man_page(Buf *out, const Command *command);
// "gpux-batch-run": what the page is called, in lower case.
void man_page_name(char out[64], const Command *command);

#endif
