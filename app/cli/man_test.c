#include "app/cli/man.h"

#include "app/cli/commands.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static Buf page_of(const Command *command) {
    Buf page = BUF_INIT(1 << 20);
    man_page(&page, command);
    assert_int_equal(buf_status(&page, NULL), STATUS_OK);
    return page;
}

static void every_page_has_its_sections_and_options(void **state) {
    (void)state;
    static const char *const SECTIONS[] = {"NAME",        "SYNOPSIS",    "DESCRIPTION", "OPTIONS",
                                           "ENVIRONMENT", "EXIT STATUS", "SEE ALSO"};
    for (size_t i = 0; i <= COMMAND_COUNT; i++) {
        const Command *command = i == 0 ? &COMMAND_ROOT : &COMMANDS[i - 1];
        Buf page = page_of(command);
        for (size_t s = 0; s < sizeof SECTIONS / sizeof SECTIONS[0]; s++) {
            char heading[64];
            snprintf(heading, sizeof heading, ".SH \"%s\"\n", SECTIONS[s]);
            assert_non_null(strstr(page.ptr, heading));
        }
        for (size_t j = 0; j < command->option_count; j++) {
            Buf name = BUF_INIT(256);
            buf_append_cstr(&name, "\\fB\\-\\-");
            for (const char *c = command->options[j].name; *c != '\0'; c++)
                buf_printf(&name, "%s%c", *c == '-' ? "\\" : "", *c);
            assert_non_null(strstr(page.ptr, name.ptr));
            buf_free(&name);
        }
        buf_free(&page);
    }
}

static void text_cannot_become_a_request_or_an_escape(void **state) {
    (void)state;
    const Option option = {.name = "x", .kind = OPTION_FLAG, .help = ".so \\n[x] it's '~' -1"};
    const Command command = {.name = "two words",
                             .summary = "'quoted",
                             .options = &option,
                             .option_count = 1,
                             .examples = ".TH\n'x\na b",
                             .run = cmd_help};
    Buf page = page_of(&command);
    assert_non_null(strstr(page.ptr, ".TH \"GPUX-TWO-WORDS\" \"1\""));
    assert_non_null(strstr(page.ptr, "\n\\&.so \\en[x] it\\(aqs \\(aq\\(ti\\(aq \\-1.\n"));
    assert_non_null(strstr(page.ptr, "\n\\&\\(aqquoted.\n"));
    assert_non_null(strstr(page.ptr, ".nf\n\\&.TH\n\\&\\(aqx\na b\n.fi\n"));
    buf_free(&page);
}

static void every_command_has_its_page_in_the_build(void **state) {
    (void)state;
    Buf build = BUF_INIT(1 << 20);
    assert_int_equal(file_read(&build, "app/install/meson.build", 1 << 20, NULL), STATUS_OK);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        char quoted[64];
        snprintf(quoted, sizeof quoted, "'%s'", COMMANDS[i].name);
        assert_non_null(strstr(build.ptr, quoted));
    }
    buf_free(&build);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_page_has_its_sections_and_options),
        cmocka_unit_test(text_cannot_become_a_request_or_an_escape),
        cmocka_unit_test(every_command_has_its_page_in_the_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
