/* The commands; each prints its results and errors itself. */
#ifndef SMLA_CLI_COMMANDS_H
#define SMLA_CLI_COMMANDS_H

#include "options.h"

smla_exit smla_command_gen(const smla_settings *settings);
smla_exit smla_command_build(const smla_settings *settings);
smla_exit smla_command_run(const smla_settings *settings);
smla_exit smla_command_analyze(const smla_settings *settings);
smla_exit smla_command_verify(const smla_settings *settings);
smla_exit smla_command_layer(const smla_settings *settings);
smla_exit smla_command_tune(const smla_settings *settings);
smla_exit smla_command_bench(const smla_settings *settings);
smla_exit smla_command_explain(const smla_settings *settings);
smla_exit smla_command_model(const smla_settings *settings);
smla_exit smla_command_ls(const smla_settings *settings);
smla_exit smla_command_gc(const smla_settings *settings);
smla_exit smla_command_wisdom(const smla_settings *settings);
smla_exit smla_command_import(const smla_settings *settings);
smla_exit smla_command_merge(const smla_settings *settings);
smla_exit smla_command_forget(const smla_settings *settings);
smla_exit smla_command_quarantine(const smla_settings *settings);
smla_exit smla_command_export(const smla_settings *settings);
smla_exit smla_command_pack(const smla_settings *settings);
smla_exit smla_command_doctor(const smla_settings *settings);
smla_exit smla_command_help(const smla_settings *settings);
smla_exit smla_command_version(const smla_settings *settings);

#endif
