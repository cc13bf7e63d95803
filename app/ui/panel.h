// A few lines in a box with a title in its upper edge; in a pipe the title and the lines alone.
#ifndef GPUX_UI_PANEL_H
#define GPUX_UI_PANEL_H

#include "app/ui/terminal.h"

// `text`: lines ended by newlines, made harmless here. A line longer than the terminal goes on
// below. Errors show in out->failed.
void panel_print(Buf *out, const char *title, StrView text, const Terminal *terminal);

#endif
