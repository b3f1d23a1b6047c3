# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# DevStack plug-in: installs hvfilter beside Nova, enables the filter, creates
# the trait names and publishes this host.

HVFILTER_DIR=$DEST/hvfilter

# What other plug-ins have enabled stays enabled.
function configure_hvfilter {
    local filters available
    filters=$(iniget "$NOVA_CONF" filter_scheduler enabled_filters)
    # Some plug-ins write spaces after the commas.
    filters=${filters// /}
    if [[ -z $filters ]]; then
        filters=ComputeFilter,ComputeCapabilitiesFilter,ImagePropertiesFilter
        filters+=,ServerGroupAntiAffinityFilter,ServerGroupAffinityFilter
    fi
    if [[ ,$filters, != *,HardwareVirtFilter,* ]]; then
        filters+=,HardwareVirtFilter
    fi
    iniset "$NOVA_CONF" filter_scheduler enabled_filters "$filters"
    available=$(iniget_multiline "$NOVA_CONF" filter_scheduler available_filters)
    if [[ -z $available ]]; then
        iniset "$NOVA_CONF" filter_scheduler available_filters \
            nova.scheduler.filters.all_filters
    fi
    if [[ " $available " != *" hvfilter.scheduler.all_filters "* ]]; then
        iniadd "$NOVA_CONF" filter_scheduler available_filters \
            hvfilter.scheduler.all_filters
    fi
    iniset "$NOVA_CONF" hvfilter mode "$HVFILTER_MODE"
    iniset "$NOVA_CONF" hvfilter required "$HVFILTER_REQUIRED"
}

# As root: others often cannot open /dev/kvm.
function publish_hvfilter {
    local command
    command=$(type -p hvfilter)
    sudo "$command" prepare --config-file "$NOVA_CPU_CONF"
    # 75: what could not be determined stays as it is.
    sudo "$command" publish --config-file "$NOVA_CPU_CONF" || [[ $? -eq 75 ]]
}

if [[ "$1" == "stack" && "$2" == "install" ]]; then
    setup_develop "$HVFILTER_DIR"
elif [[ "$1" == "stack" && "$2" == "post-config" ]]; then
    if is_service_enabled n-sch; then
        configure_hvfilter
    fi
elif [[ "$1" == "stack" && "$2" == "extra" ]]; then
    if is_service_enabled n-cpu; then
        publish_hvfilter
    fi
elif [[ "$1" == "unstack" ]]; then
    :
elif [[ "$1" == "clean" ]]; then
    rm -rf "$HVFILTER_DIR/hvfilter.egg-info"
fi
