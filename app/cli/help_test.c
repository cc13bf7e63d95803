#include "app/cli/help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void every_option_of_the_table_is_in_the_help(void **state) {
    (void)state;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const Command *command = &COMMANDS[i];
        Buf help = BUF_INIT(1 << 20);
        help_command(&help, command, 80);
        assert_int_equal(buf_status(&help, NULL), STATUS_OK);
        assert_non_null(strstr(help.ptr, command->summary));
        for (size_t j = 0; j < command->option_count; j++) {
            char name[64];
            snprintf(name, sizeof name, "--%s", command->options[j].name);
            assert_non_null(strstr(help.ptr, name));
        }
        buf_free(&help);
    }
}

static void every_command_takes_help_and_verbose(void **state) {
    (void)state;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        assert_non_null(args_find_option(&COMMANDS[i], "help"));
        assert_non_null(args_find_option(&COMMANDS[i], "verbose"));
    }
}

static void names_and_letters_of_a_command_are_unique(void **state) {
    (void)state;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const Command *command = &COMMANDS[i];
        for (size_t j = 0; j < command->option_count; j++) {
            const Option *option = &command->options[j];
            assert_ptr_equal(args_find_option(command, option->name), option);
            for (size_t k = j + 1; k < command->option_count; k++)
                assert_true(option->short_name == 0 ||
                            option->short_name != command->options[k].short_name);
        }
    }
}

static void the_help_names_the_commands_and_says_what_gpux_is(void **state) {
    (void)state;
    Buf help = BUF_INIT(1 << 20);
    help_root(&help, 80);
    assert_non_null(strstr(help.ptr, "Docker-like GPU runtime"));
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        assert_non_null(strstr(help.ptr, COMMANDS[i].summary));
    buf_free(&help);
}

static void the_list_of_commands_and_options_keeps_to_the_width(void **state) {
    (void)state;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        Buf help = BUF_INIT(1 << 20);
        help_command(&help, &COMMANDS[i], 80);
        for (const char *line = help.ptr; *line != '\0';) {
            size_t len = strcspn(line, "\n");
            assert_true(len <= 80);
            line += len + (line[len] == '\n');
        }
        buf_free(&help);
    }
}

static void a_misspelt_command_is_guessed(void **state) {
    (void)state;
    assert_string_equal(command_closest("rnu"), "run");
    assert_string_equal(command_closest("inspct"), "inspect");
    assert_string_equal(command_closest("conv"), "convert");
    assert_null(command_closest("zzzzzz"));
    assert_null(command_closest(""));
}

static void commands_of_two_words_are_found(void **state) {
    (void)state;
    int words = 0;
    char *const two[] = {"batch", "run", "model"};
    const Command *command = command_match(3, two, &words);
    assert_non_null(command);
    assert_string_equal(command->name, "batch run");
    assert_int_equal(words, 2);
    assert_null(command_match(1, two, &words));
    char *const one[] = {"run", "batch"};
    assert_string_equal(command_match(2, one, &words)->name, "run");
    assert_int_equal(words, 1);
    assert_null(command_match(0, one, &words));
    assert_true(command_is_group("batch"));
    assert_false(command_is_group("run"));
    assert_false(command_is_group("bat"));
    assert_string_equal(command_closest("batch rnu"), "batch run");
}

static void the_help_of_a_group_lists_its_commands(void **state) {
    (void)state;
    Buf help = BUF_INIT(1 << 20);
    help_group(&help, "batch", 80);
    assert_non_null(strstr(help.ptr, "gpux batch COMMAND"));
    assert_non_null(strstr(help.ptr, "batch run"));
    assert_null(strstr(help.ptr, "inspect"));
    buf_free(&help);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_of_the_table_is_in_the_help),
        cmocka_unit_test(every_command_takes_help_and_verbose),
        cmocka_unit_test(names_and_letters_of_a_command_are_unique),
        cmocka_unit_test(the_help_names_the_commands_and_says_what_gpux_is),
        cmocka_unit_test(the_list_of_commands_and_options_keeps_to_the_width),
        cmocka_unit_test(a_misspelt_command_is_guessed),
        cmocka_unit_test(commands_of_two_words_are_found),
        cmocka_unit_test(the_help_of_a_group_lists_its_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
