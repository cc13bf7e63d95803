// What the hub commands share: their options, their failures, and small formats.
#ifndef GPUX_CLI_HUB_H
#define GPUX_CLI_HUB_H

#include "app/cli/cli.h"

// --token and --offline, as far as the command has them.
gpux_hub_options hub_options(const Cli *cli);
// Prints "Error: <message>" and the hint of the fault; answers its exit code.
int hub_failed(const Cli *cli, gpux_status status, gpux_fault fault, const gpux_error *error);
// A registry that gpux can talk to, by name or alias; NULL is the usual one. EXIT_OK, or the exit
// code after printing why not.
int hub_check_registry(const Cli *cli, const char *registry);

// "3 minutes ago" for "2026-01-31T12:34:56Z"; the text itself when it is no such date, "" for NULL.
void format_age(char out[32], const char *utc, int64_t now);
// "12.3M", "999": for columns.
void format_short_count(char out[32], int64_t count);

#endif
